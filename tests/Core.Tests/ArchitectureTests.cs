using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace OrleansMemory.Core.Tests;

/// <summary>The rules of the layout: which project may use which, and that pins are exact.</summary>
public sealed class ArchitectureTests
{
    private static readonly string Root = FindRoot();

    /// <summary>Dependencies point one way.</summary>
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Core"] = [],
        ["Storage"] = ["Core"],
        ["Api"] = ["Core"],
        ["Peers"] = ["Api", "Core"],
        ["Grains"] = ["Core"],
        ["Silo"] = ["Grains", "Storage", "Api", "Core"],
        ["Cli"] = ["Peers", "Storage", "Api", "Gate", "Core"],
        ["Gate"] = [],
    };

    [Fact]
    public void Projects_reference_only_what_the_layout_allows()
    {
        var projects = Directory.GetFiles(Path.Combine(Root, "src"), "*.csproj", SearchOption.AllDirectories);
        Assert.NotEmpty(projects);
        foreach (var project in projects)
        {
            var name = Path.GetFileNameWithoutExtension(project);
            var references = XDocument.Load(project).Descendants("ProjectReference").Select(reference => Path.GetFileNameWithoutExtension((string)reference.Attribute("Include")!));
            Assert.All(references, reference => Assert.Contains(reference, Allowed[name]));
        }
    }

    [Fact]
    public void Core_knows_no_web_server_no_actor_framework_and_no_database()
    {
        var references = typeof(MemoryNode).Assembly.GetReferencedAssemblies().Select(assembly => assembly.Name!);
        Assert.All(references, name => Assert.DoesNotMatch("^(Microsoft\\.AspNetCore|Microsoft\\.Orleans|Orleans|SQLite|Npgsql|Microsoft\\.Data)", name));
    }

    [Fact]
    public void Direct_package_pins_resolved_exactly()
    {
        var pins = XDocument.Load(Path.Combine(Root, "Directory.Packages.props")).Descendants("PackageVersion")
            .ToDictionary(pin => (string)pin.Attribute("Include")!, pin => (string)pin.Attribute("Version")!, StringComparer.OrdinalIgnoreCase);
        var assets = Directory.GetFiles(Root, "project.assets.json", SearchOption.AllDirectories);
        Assert.NotEmpty(assets);
        foreach (var file in assets)
        {
            var project = Path.Combine(Path.GetDirectoryName(Path.GetDirectoryName(file))!, Path.GetFileName(Path.GetDirectoryName(Path.GetDirectoryName(file))!) + ".csproj");
            if (!File.Exists(project))
            {
                continue;
            }

            var text = File.ReadAllText(file);
            foreach (var package in XDocument.Load(project).Descendants("PackageReference").Select(reference => (string)reference.Attribute("Include")!))
            {
                Assert.True(
                    Regex.IsMatch(text, $"\"{Regex.Escape(package)}/{Regex.Escape(pins[package])}\"", RegexOptions.IgnoreCase, TimeSpan.FromSeconds(5)),
                    $"{Path.GetFileName(project)}: {package} did not resolve to {pins[package]}");
            }
        }
    }

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "OrleansMemory.sln")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("the tests run outside the repository");
        }

        return folder.FullName;
    }
}
