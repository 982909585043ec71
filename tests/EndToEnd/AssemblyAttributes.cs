// SPDX-License-Identifier: Apache-2.0
using Xunit.Sdk;
using Xunit.v3;

// Tests start daemons and a lab of namespaces. They run one at a time, so that deadlines measure the product and not the load of the
// machine.
[assembly: Parallelization(Mode = ParallelMode.None)]
