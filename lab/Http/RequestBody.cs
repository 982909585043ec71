// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.Http;

/// <summary>Reads the bodies of requests.</summary>
internal static class RequestBody
{
    private const int BufferSize = 16 * 1024;

    /// <summary>Reads a whole body; null if it is larger than a number of bytes.</summary>
    public static async Task<ReadOnlyMemory<byte>?> ReadAsync(HttpContext context, int maxBytes)
    {
        if (context.Request.ContentLength > maxBytes)
            return null;
        using var body = new MemoryStream();
        var buffer = new byte[BufferSize];
        int read;
        while ((read = await context.Request.Body.ReadAsync(buffer, context.RequestAborted)) > 0)
        {
            if (body.Length + read > maxBytes)
                return null;
            body.Write(buffer, 0, read);
        }

        return body.ToArray();
    }
}
