// SPDX-License-Identifier: Apache-2.0
using Xunit.Sdk;
using Xunit.v3;

// Every test here starts daemons and a lab of namespaces: one at a time, so that their deadlines measure the product and not the machine.
[assembly: Parallelization(Mode = ParallelMode.None)]
