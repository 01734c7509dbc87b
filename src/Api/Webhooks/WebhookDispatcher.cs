using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Messaging;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Api.Webhooks;

/// <summary>
/// Tells subscribers of what this node decided. The log is the outbox, and a replicated row for each subscription and log says how far it was told, so every
/// change is told at least once, whoever dies, by the node that decided it and by no other. One subscriber's events go in order; one that is away is tried
/// again with growing pauses, holds nobody else up, and what it does not take in the end is kept as a dead letter.
/// </summary>
internal sealed partial class WebhookDispatcher(MemoryNode node, WebhookOptions options, TimeProvider time, ILogger<WebhookDispatcher> logger) : BackgroundService
{
    private const int PageRows = 500;
    private const int PageBytes = 4 * 1024 * 1024;
    private const int DeadLettersKept = 20;

    /// <summary>Rows that concern nobody are passed over without a note until there are so many.</summary>
    private const int RowsWithoutNote = 5_000;

    /// <summary>Between two looks at the log: commits that follow each other closely are told together.</summary>
    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(20);

    /// <summary>Without a commit, as after a look that failed.</summary>
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    /// <summary>How far each subscription was told of the log that is written now; -1: not known yet.</summary>
    private readonly ConcurrentDictionary<(string Subscription, LogId Log), long> _places = new();

    /// <summary>False until the subscriptions were read for the first time.</summary>
    private volatile bool _knowsSubscriptions;

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        node.KeepLog(() => _knowsSubscriptions ? _places.Values.Append(long.MaxValue).Min() : 0);
        return base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var sender = new WebhookSender(options, time);
        var running = new Dictionary<string, Task>(StringComparer.Ordinal);
        try
        {
            while (true)
            {
                // Taken before the log is read: a commit that comes meanwhile is not missed.
                var next = node.NextCommit;
                IReadOnlyList<Task> underWay = [];
                try
                {
                    underWay = await StartAsync(sender, running, stoppingToken);
                }
                catch (Exception exception) when (exception is not OperationCanceledException)
                {
                    // The store is away; its log waits.
                    LogNotRead(exception);
                }

                await Task.Delay(ShortestPause, time, stoppingToken);
                using var pause = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
                await Task.WhenAny([next, .. underWay, Task.Delay(LongestPause, time, pause.Token)]);
                await pause.CancelAsync();
                stoppingToken.ThrowIfCancellationRequested();
            }
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(running.Values);
        }
    }

    /// <summary>Lets every subscription go on that is not under way.</summary>
    /// <returns>Those that were: they may have read the log before it grew.</returns>
    private async Task<IReadOnlyList<Task>> StartAsync(WebhookSender sender, Dictionary<string, Task> running, CancellationToken stopping)
    {
        var underWay = new List<Task>();
        var subscriptions = await node.SubscriptionsAsync(owner: null, stopping);
        var log = node.Store.Log;
        var present = subscriptions.Select(subscription => (subscription.Id, log)).ToList();
        foreach (var gone in _places.Keys.Except(present).ToList())
        {
            _places.TryRemove(gone, out _);
        }

        foreach (var subscription in subscriptions)
        {
            if (running.TryGetValue(subscription.Id, out var task) && !task.IsCompleted)
            {
                underWay.Add(task);
                continue;
            }

            _places.TryAdd((subscription.Id, log), -1);
            running[subscription.Id] = DeliverAsync(sender, subscription, log, stopping);
        }

        _knowsSubscriptions = true;
        return underWay;
    }

    private async Task DeliverAsync(WebhookSender sender, Subscription subscription, LogId log, CancellationToken stopping)
    {
        try
        {
            var noted = await node.DeliveryAsync(subscription.Id, stopping);
            if (noted is null)
            {
                // It hears of what comes after it.
                await node.NoteDeliveryAsync(subscription.Id, new((await node.Store.ReadHeadAsync()).Sequence, 0, 0, null, []));
                return;
            }

            var delivery = noted;
            var place = Math.Max(_places.GetValueOrDefault((subscription.Id, log), -1), noted.Through);
            while (await node.Store.ReadLogAsync(place, PageRows, PageBytes, stopping) is { Count: > 0 } page)
            {
                foreach (var mutation in page)
                {
                    if (MemoryEvent.Of(mutation) is { } change && subscription.Wants(change))
                    {
                        delivery = await DeliverAsync(sender, subscription, change, delivery, stopping);
                    }

                    place = mutation.Position.Sequence;
                }

                _places[(subscription.Id, log)] = place;
                if (!ReferenceEquals(delivery, noted) || place - noted.Through > RowsWithoutNote)
                {
                    noted = delivery = delivery with { Through = place };
                    await node.NoteDeliveryAsync(subscription.Id, delivery);
                }
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or MemoryException)
        {
            // It goes on from what was noted.
        }
        catch (Exception exception)
        {
            LogFailed(exception, subscription.Id);
        }
    }

    private async Task<DeliveryBody> DeliverAsync(WebhookSender sender, Subscription subscription, MemoryEvent change, DeliveryBody delivery, CancellationToken stopping)
    {
        var pause = options.FirstPause;
        for (var attempt = 1; ; attempt++)
        {
            if (await sender.SendAsync(subscription, change, stopping) is not { } error)
            {
                return delivery with { Delivered = delivery.Delivered + 1, LastDeliveredAt = Timestamp.Now(time).Nanoseconds };
            }

            if (attempt >= options.Attempts)
            {
                LogGivenUp(subscription.Id, change.Position.ToString(), error);
                var letter = new UndeliveredEvent(change.Position.ToString(), change.Name, change.MemoryId, error, Timestamp.Now(time).Nanoseconds);
                return delivery with { Dead = delivery.Dead + 1, DeadLetters = [letter, .. delivery.DeadLetters.Take(DeadLettersKept - 1)] };
            }

            await Task.Delay(pause, time, stopping);
            pause *= 2;
        }
    }

    [LoggerMessage(2010, LogLevel.Error, "Webhook deliveries of subscription {Subscription} stopped; they go on from what was noted")]
    private partial void LogFailed(Exception exception, string subscription);

    [LoggerMessage(2012, LogLevel.Warning, "Subscriptions cannot be read now; what they are to be told waits")]
    private partial void LogNotRead(Exception exception);

    [LoggerMessage(2011, LogLevel.Warning, "Webhook {Subscription} does not take {Position}: {Error}")]
    private partial void LogGivenUp(string subscription, string position, string error);
}
