using System.Text.Json.Serialization;
using OrleansMemory.Gate.Evidence;

namespace OrleansMemory.Gate.Pages;

/// <summary>What people add to a run: <c>insights.json</c> in its folder. It is shown beside the verdicts and changes none of them.</summary>
/// <param name="Headline">The run in a sentence.</param>
/// <param name="WhatChanged">Before the next run.</param>
public sealed record Insights(string? Headline = null, string? WhatChanged = null)
{
    public IReadOnlyList<InsightBug> Bugs { get; init; } = [];

    public InsightNotes Notes { get; init; } = new();

    /// <returns>Null: there are none.</returns>
    /// <exception cref="GateException">The file is there and is not what it should be.</exception>
    internal static Insights? Read(EvidenceFolder folder)
    {
        if (!folder.Exists(EvidenceFolder.InsightsName))
        {
            return null;
        }

        Insights insights;
        try
        {
            insights = folder.Read<Insights>(EvidenceFolder.InsightsName);
        }
        catch (InvalidDataException exception)
        {
            throw new GateException($"{folder.Combine(EvidenceFolder.InsightsName)}: {exception.Message}", exception);
        }

        if (insights.Bugs.Any(static bug => bug is null || bug.FixedIn.Any(static link => link is null)))
        {
            throw new GateException($"{folder.Combine(EvidenceFolder.InsightsName)}: bugs and fixed_in hold objects, not null");
        }

        foreach (var link in insights.Bugs.SelectMany(static bug => bug.FixedIn))
        {
            if (!Uri.TryCreate(link.Url, UriKind.Absolute, out var uri) || (uri.Scheme != Uri.UriSchemeHttps && uri.Scheme != Uri.UriSchemeHttp))
            {
                throw new GateException($"{folder.Combine(EvidenceFolder.InsightsName)}: the url of fixed_in \"{link.Label}\" is {link.Url}, and must begin with https:// or http://");
            }
        }

        return insights;
    }
}

/// <param name="Impact">What it meant for whoever uses the product.</param>
public sealed record InsightBug(string Title, string Impact, string RootCause, InsightStatus Status)
{
    /// <summary>Empty: it is not fixed.</summary>
    public IReadOnlyList<InsightLink> FixedIn { get; init; } = [];
}

public sealed record InsightLink(string Label, string Url);

/// <summary>A sentence or a few for each who reads a run.</summary>
public sealed record InsightNotes(string? Users = null, string? Deciders = null, string? Engineers = null);

/// <summary>How sure a root cause is.</summary>
[JsonConverter(typeof(StatusConverter))]
public enum InsightStatus
{
    [JsonStringEnumMemberName("hypothesis")]
    Hypothesis,

    /// <summary>Taking the cause away takes the bug away, and putting it back brings it back.</summary>
    [JsonStringEnumMemberName("reproduced")]
    Reproduced,
}

internal sealed class StatusConverter() : JsonStringEnumConverter<InsightStatus>(namingPolicy: null, allowIntegerValues: false);
