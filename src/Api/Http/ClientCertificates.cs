using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Http;

/// <summary>What client certificates are checked against, and whom they name.</summary>
internal static class ClientCertificates
{
    private const string SubjectAlternativeName = "2.5.29.17";
    private const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";

    /// <summary>The tag of a URI among the general names (RFC 5280, 4.2.1.6).</summary>
    private static readonly Asn1Tag Uri = new(TagClass.ContextSpecific, 6);

    /// <summary>Whether one of the authorities vouches for the certificate, now, and for this use. Nobody is asked about revocation.</summary>
    public static bool IsVouchedFor(X509Certificate2 certificate, X509Certificate2Collection sent, X509Certificate2Collection authorities)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(authorities);
        chain.ChainPolicy.ExtraStore.AddRange(sent);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(ClientAuthentication));
        return chain.Build(certificate);
    }

    /// <summary>The agent that a certificate names: its one URI, or without any its common name. Null when that is no agent id, or there are several.</summary>
    public static string? NameOf(X509Certificate2 certificate)
    {
        var uris = UrisOf(certificate);
        var name = uris.Count switch
        {
            0 => certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false),
            1 => uris[0],
            _ => null,
        };
        try
        {
            return name is null ? null : MemoryRules.AgentId(name);
        }
        catch (MemoryException)
        {
            return null;
        }
    }

    private static List<string> UrisOf(X509Certificate2 certificate)
    {
        var uris = new List<string>();
        foreach (var extension in certificate.Extensions.Where(static extension => extension.Oid?.Value == SubjectAlternativeName))
        {
            var names = new AsnReader(extension.RawData, AsnEncodingRules.DER).ReadSequence();
            while (names.HasData)
            {
                if (names.PeekTag() == Uri)
                {
                    uris.Add(names.ReadCharacterString(UniversalTagNumber.IA5String, Uri));
                }
                else
                {
                    names.ReadEncodedValue();
                }
            }
        }

        return uris;
    }
}
