// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Net;
using System.Text;
using System.Xml;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Ec2Api;

/// <summary>Writes EC2's XML: nested elements, lists of <c>item</c>, values in EC2's format, and the error document.</summary>
internal sealed class Ec2Xml : IDisposable
{
    private const string Namespace = "http://ec2.amazonaws.com/doc/2016-11-15/";

    private readonly MemoryStream _stream = new();
    private readonly XmlWriter _writer;

    private Ec2Xml() =>
        _writer = XmlWriter.Create(
            _stream,
            new XmlWriterSettings { Encoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), CheckCharacters = false }
        );

    public static byte[] Response(string operation, string requestId, Action<Ec2Xml> body)
    {
        using var xml = new Ec2Xml();
        xml._writer.WriteStartElement(operation + "Response", Namespace);
        xml.Value("requestId", requestId);
        body(xml);
        return xml.Finish();
    }

    public static byte[] Error(Ec2FaultException fault, string requestId)
    {
        using var xml = new Ec2Xml();
        xml._writer.WriteStartElement("Response");
        xml.Element(
            "Errors",
            () =>
                xml.Element(
                    "Error",
                    () =>
                    {
                        xml.Value("Code", fault.Code);
                        xml.Value("Message", fault.Message);
                    }
                )
        );
        xml.Value("RequestID", requestId);
        return xml.Finish();
    }

    public void Element(string name, Action body)
    {
        _writer.WriteStartElement(name);
        body();
        _writer.WriteEndElement();
    }

    public void List<T>(string name, IEnumerable<T> items, Action<T> item)
    {
        _writer.WriteStartElement(name);
        foreach (var each in items)
            Element("item", () => item(each));
        _writer.WriteEndElement();
    }

    /// <summary>Writes a list whose items are plain values.</summary>
    public void Values<T>(string name, IEnumerable<T> items)
    {
        _writer.WriteStartElement(name);
        foreach (var each in items)
            _writer.WriteElementString("item", each!.ToString());
        _writer.WriteEndElement();
    }

    public void Value(string name, string value) => _writer.WriteElementString(name, value);

    public void Value(string name, int value) => Value(name, value.ToString(CultureInfo.InvariantCulture));

    public void Value(string name, bool value) => Value(name, value ? "true" : "false");

    public void Value(string name, IPAddress value) => Value(name, value.ToString());

    public void Value(string name, DateTimeOffset value) =>
        Value(name, value.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture));

    /// <summary>Writes the token of the next page; writes nothing if it is null.</summary>
    public void NextToken(string? token)
    {
        if (token is not null)
            Value("nextToken", token);
    }

    public void Tags(IEnumerable<KeyValuePair<string, string>> tags) =>
        List(
            "tagSet",
            tags,
            tag =>
            {
                Value("key", tag.Key);
                Value("value", tag.Value);
            }
        );

    public void Dispose()
    {
        _writer.Dispose();
        _stream.Dispose();
    }

    private byte[] Finish()
    {
        _writer.WriteEndElement();
        _writer.Flush();
        return _stream.ToArray();
    }
}
