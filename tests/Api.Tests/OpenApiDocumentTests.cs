using System.Text.Json.Nodes;

namespace OrleansMemory.Api.Tests;

public sealed class OpenApiDocumentTests(TestNode node) : IClassFixture<TestNode>
{
    private static string CommittedPath
    {
        get
        {
            var folder = new DirectoryInfo(AppContext.BaseDirectory);
            while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "OrleansMemory.sln")))
            {
                folder = folder.Parent;
            }

            return Path.Combine(folder?.FullName ?? throw new InvalidOperationException("the tests run outside the repository"), "docs", "openapi.json");
        }
    }

    /// <summary><c>OM_UPDATE_OPENAPI=1</c> writes the document instead of comparing it.</summary>
    [Fact]
    public async Task The_document_is_the_committed_one()
    {
        var reply = await node.GetAsync("/openapi/v1.json");
        Assert.Equal(200, reply.Status);
        var text = reply.Text.ReplaceLineEndings("\n").TrimEnd() + "\n";
        if (Environment.GetEnvironmentVariable("OM_UPDATE_OPENAPI") == "1")
        {
            Directory.CreateDirectory(Path.GetDirectoryName(CommittedPath)!);
            await File.WriteAllTextAsync(CommittedPath, text);
        }

        Assert.Equal(await File.ReadAllTextAsync(CommittedPath), text);
    }

    [Fact]
    public async Task Every_reference_in_the_document_leads_somewhere()
    {
        var document = (await node.GetAsync("/openapi/v1.json")).Json;
        var schemas = document["components"]!["schemas"]!.AsObject();
        var references = new HashSet<string>();
        Collect(document, references);
        Assert.NotEmpty(references);
        Assert.All(references, reference => Assert.Contains(reference["#/components/schemas/".Length..], (IDictionary<string, JsonNode?>)schemas));
        Assert.Equal(schemas.Count, references.Count);
    }

    [Fact]
    public async Task Every_documented_operation_is_served()
    {
        var document = (await node.GetAsync("/openapi/v1.json")).Json;
        foreach (var (path, operations) in document["paths"]!.AsObject())
        {
            foreach (var (method, _) in operations!.AsObject())
            {
                var reply = await node.SendAsync(new(method.ToUpperInvariant()), path.Replace("{id}", "nobody", StringComparison.Ordinal));
                Assert.NotEqual(405, reply.Status);
                Assert.False(reply.Status == 404 && reply.Text.Length == 0, $"{method} {path} is not served");
            }
        }
    }

    private static void Collect(JsonNode? node, HashSet<string> references)
    {
        switch (node)
        {
            case JsonObject fields:
                foreach (var (name, value) in fields)
                {
                    if (name == "$ref")
                    {
                        references.Add((string)value!);
                    }

                    Collect(value, references);
                }

                break;
            case JsonArray items:
                foreach (var item in items)
                {
                    Collect(item, references);
                }

                break;
            default:
                break;
        }
    }
}
