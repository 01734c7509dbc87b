namespace OrleansMemory.Storage.Tests;
