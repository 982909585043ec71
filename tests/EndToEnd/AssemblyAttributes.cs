// SPDX-License-Identifier: Apache-2.0
using Xunit;

// Every test here starts daemons and a lab of namespaces: one at a time, so that their deadlines measure the product and not the machine.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
