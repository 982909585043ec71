// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

// Real clients (aws, boto3) are run against the API by the interoperability tests.
[assembly: InternalsVisibleTo("VpcCni.Interop.Tests")]
