// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

// The interoperability tests run real clients (aws, boto3) against the API.
[assembly: InternalsVisibleTo("VpcCni.Interop.Tests")]
