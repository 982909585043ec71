// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Datapath;

/// <summary>Texts that daemon and plugin agree on beyond the messages of protos/. Either may be that of aws-node.</summary>
public static class Contract
{
    /// <summary>
    /// The status detail of a DEL for an attachment that the daemon does not have, with status UNKNOWN: aws-node's words, which its plugin
    /// compares.
    /// </summary>
    public const string UnknownPod = "datastore: unknown pod";

    /// <summary>Part of the status detail with which aws-node's daemon rejects the version of a plugin.</summary>
    public const string WrongVersion = "wrong client version";

    /// <summary>Trailer of a failed call: the typed reason, for programs. aws-node's daemon does not send it.</summary>
    public const string ReasonTrailer = "vpccni-reason";

    /// <summary>Trailer of a failed call: what to do about it, for people. aws-node's daemon does not send it.</summary>
    public const string HintTrailer = "vpccni-hint";
}
