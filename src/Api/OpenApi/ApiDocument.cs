using System.Globalization;
using System.Reflection;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.OpenApi;

namespace OrleansMemory.Api.OpenApi;

/// <summary>
/// Fills the generated OpenAPI document from the <see cref="RouteDescription"/> of each route: bodies are read by hand, so the
/// generator cannot see their shapes.
/// </summary>
internal static class ApiDocument
{
    private const string KeyScheme = "ApiKey";

    public static void AddMemoryApiDocument(this IServiceCollection services) => services.AddOpenApi("v1", options =>
    {
        options.ShouldInclude = description => description.HttpMethod != "HEAD" && Route(description.ActionDescriptor.EndpointMetadata) is not null;
        options.AddOperationTransformer((operation, context, _) =>
        {
            Describe(operation, Route(context.Description.ActionDescriptor.EndpointMetadata)!, context.Description.RelativePath!, context.Document!);
            return Task.CompletedTask;
        });
        options.AddDocumentTransformer((document, _, _) =>
        {
            Describe(document);
            return Task.CompletedTask;
        });
    });

    private static RouteDescription? Route(IList<object> metadata) => metadata.OfType<RouteDescription>().FirstOrDefault();

    private static void Describe(OpenApiDocument document)
    {
        document.Info = new()
        {
            Title = "OrleansMemory",
            Version = Assembly.GetExecutingAssembly().GetName().Version!.ToString(3),
            Description = "Memories for AI agents.",
        };

        // The address depends on who asks; a document that is compared must not.
        document.Servers = [];
        document.Tags = new HashSet<OpenApiTag>();
        document.Components ??= new();
        document.Components.Schemas = new Dictionary<string, IOpenApiSchema>();
        foreach (var (name, schema) in ApiSchemas.All(document))
        {
            document.Components.Schemas[name] = schema;
        }

        document.Components.SecuritySchemes = new Dictionary<string, IOpenApiSecurityScheme>
        {
            [KeyScheme] = new OpenApiSecurityScheme
            {
                Type = SecuritySchemeType.ApiKey,
                Name = "X-API-Key",
                In = ParameterLocation.Header,
                Description = "Asked for when the node has a key; the query parameter api_key does as well.",
            },
        };
        document.RegisterComponents();
    }

    private static void Describe(OpenApiOperation operation, RouteDescription route, string path, OpenApiDocument document)
    {
        operation.OperationId = route.Id;
        operation.Summary = route.Summary;
        operation.Tags = new HashSet<OpenApiTagReference> { new(route.Group, document) };
        operation.Parameters =
        [
            .. path.Contains("{id}", StringComparison.Ordinal) ? [Parameter("id", ParameterLocation.Path, "string", "The id of a memory, or a prefix that only it has.", required: true)] : Array.Empty<OpenApiParameter>(),
            .. path.Contains("{namespace}", StringComparison.Ordinal) ? [Parameter("namespace", ParameterLocation.Path, "string", "A namespace, its slashes escaped; * stands for all of them.", required: true)] : Array.Empty<OpenApiParameter>(),
            .. route.Query.Select(field => Parameter(field.Name, ParameterLocation.Query, field.Type, field.Text, field.Required)),
            .. (route.Group is "Health" or "Metrics" ? route.Headers : [.. route.Headers, SharedFields.Token]).Select(field => Parameter(field.Name, ParameterLocation.Header, "string", field.Text, required: false)),
        ];
        operation.RequestBody = route.Body is null ? null : new OpenApiRequestBody
        {
            Required = !route.BodyOptional,
            Content = new Dictionary<string, OpenApiMediaType> { ["application/json"] = Content(route.Body, document) },
        };
        operation.Responses = [];
        var isOpen = route.Group == "Health";
        IEnumerable<Answer> answers = isOpen ? route.Answers : [.. route.Answers, SharedFields.Unauthorized];
        foreach (var answer in answers.OrderBy(answer => answer.Status))
        {
            operation.Responses[answer.Status.ToString(CultureInfo.InvariantCulture)] = new OpenApiResponse
            {
                Description = answer.Text,
                Content = answer.Schema is null ? null : new Dictionary<string, OpenApiMediaType> { [answer.ContentType] = Content(answer.Schema, document) },
            };
        }

        // A node without a key asks for none.
        operation.Security = isOpen ? null : [new() { [new OpenApiSecuritySchemeReference(KeyScheme, document)] = [] }, []];
    }

    private static OpenApiMediaType Content(string schema, OpenApiDocument document) => new() { Schema = new OpenApiSchemaReference(schema, document) };

    private static OpenApiParameter Parameter(string name, ParameterLocation location, string type, string text, bool required) => new()
    {
        Name = name,
        In = location,
        Description = text,
        Required = required,
        Schema = new OpenApiSchema { Type = type == "integer" ? JsonSchemaType.Integer : JsonSchemaType.String },
    };
}
