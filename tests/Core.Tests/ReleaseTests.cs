using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

namespace OrleansMemory.Core.Tests;

/// <summary>What is released has none of the bugs that can be built into the engines.</summary>
public sealed class ReleaseTests
{
    [Fact]
    public void No_fault_can_be_set_in_this_build()
    {
        Assert.Empty(typeof(Faults).GetProperties(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic));
        Assert.DoesNotContain(typeof(Faults).GetFields(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic), static field => !field.IsLiteral);
        Assert.Equal([], TracesOf(typeof(Faults).Assembly.Location));
    }

    [Fact]
    public void A_build_with_faults_is_told_apart()
    {
        var faulty = Environment.GetEnvironmentVariable("OM_FAULTY");
        Assert.SkipWhen(faulty is null || !File.Exists(faulty), "no build with faults here: ./test makes one for the suite Gate");
        Assert.Equal(["OM_FAULT", "OM_SHORT_MEMORY", "calls of Replace", "calls of Run", "calls of ShortenMemory"], TracesOf(Path.Combine(Path.GetDirectoryName(faulty!)!, "OrleansMemory.Core.dll")));
    }

    private static bool Calls(byte[] body, int token)
    {
        byte[] call = [(byte)ILOpCode.Call, .. BitConverter.GetBytes(token)];
        return body.AsSpan().IndexOf(call) >= 0;
    }

    /// <summary>What an assembly holds of the machinery: the variables that it reads, and calls.</summary>
    private static List<string> TracesOf(string path)
    {
        using var file = new PEReader(File.OpenRead(path));
        var metadata = file.GetMetadataReader();
        var traces = new List<string>();
        for (var text = MetadataTokens.UserStringHandle(1); !text.IsNil; text = metadata.GetNextHandle(text))
        {
            if (metadata.GetUserString(text) is var value && value is "OM_FAULT" or "OM_SHORT_MEMORY")
            {
                traces.Add(value);
            }
        }

        var faults = metadata.TypeDefinitions.Select(metadata.GetTypeDefinition).Single(type => metadata.GetString(type.Name) == nameof(Faults));
        var tokens = faults.GetMethods().Select(method => (Token: MetadataTokens.GetToken(method), Name: metadata.GetString(metadata.GetMethodDefinition(method).Name)))
            .Where(static method => method.Name is "Replace" or "Run" or "ShortenMemory").ToDictionary(static method => method.Token, static method => method.Name);
        for (var row = 1; row <= metadata.GetTableRowCount(TableIndex.MethodSpec); row++)
        {
            var generic = MetadataTokens.MethodSpecificationHandle(row);
            if (tokens.TryGetValue(MetadataTokens.GetToken(metadata.GetMethodSpecification(generic).Method), out var name))
            {
                tokens.Add(MetadataTokens.GetToken(generic), name);
            }
        }

        var bodies = metadata.MethodDefinitions.Select(metadata.GetMethodDefinition).Where(static method => method.RelativeVirtualAddress != 0)
            .Select(method => file.GetMethodBody(method.RelativeVirtualAddress).GetILBytes()!).ToList();
        traces.AddRange(tokens.Where(token => bodies.Exists(body => Calls(body, token.Key))).Select(static token => $"calls of {token.Value}"));
        return [.. traces.Distinct().Order(StringComparer.Ordinal)];
    }
}
