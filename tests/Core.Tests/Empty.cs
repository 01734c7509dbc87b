namespace OrleansMemory.Core.Tests;
