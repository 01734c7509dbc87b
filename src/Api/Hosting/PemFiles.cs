using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using OrleansMemory.Api.Configuration;

namespace OrleansMemory.Api.Hosting;

/// <summary>Certificates with their private keys from PEM files.</summary>
public static class PemFiles
{
    /// <param name="what">For the error, such as <c>TLS certificate</c>.</param>
    /// <param name="chain">Everything that the certificate's file holds.</param>
    /// <exception cref="InvalidOptionException">The files cannot be read or do not belong together.</exception>
    public static X509Certificate2 ReadCertificate(string certificatePath, string keyPath, string what, out X509Certificate2Collection chain)
    {
        try
        {
            using var pem = X509Certificate2.CreateFromPemFile(certificatePath, keyPath);
            chain = [];
            chain.ImportFromPemFile(certificatePath);

            // A key read from PEM is ephemeral, which TLS on some systems refuses; the detour makes it a stored one.
            return X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), password: null);
        }
        catch (Exception exception) when (exception is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new InvalidOptionException($"the {what} {certificatePath} and key {keyPath} cannot be used: {exception.Message}", exception);
        }
    }

    /// <summary>Certificates without their keys.</summary>
    /// <exception cref="InvalidOptionException">The file cannot be read, or holds none.</exception>
    public static X509Certificate2Collection ReadAuthorities(string path, string what)
    {
        try
        {
            var authorities = new X509Certificate2Collection();
            authorities.ImportFromPemFile(path);
            return authorities.Count > 0 ? authorities : throw new InvalidOptionException($"the {what} {path} holds no certificate");
        }
        catch (Exception exception) when (exception is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new InvalidOptionException($"the {what} {path} cannot be used: {exception.Message}", exception);
        }
    }
}
