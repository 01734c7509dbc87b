namespace OrleansMemory.Api.Tests;
