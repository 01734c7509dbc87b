namespace OrleansMemory.Cli.Tests;
