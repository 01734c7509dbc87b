using OrleansMemory.Silo;

// Signals are the front end's.
return await SiloCommand.Create().Parse(args).InvokeAsync(new() { ProcessTerminationTimeout = null });
