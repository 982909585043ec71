// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.Hosting;

/// <summary>The cloud whose API, metadata and network a lab has.</summary>
internal enum LabCloud
{
    Aws,
    Gce,
    Azure,
}
