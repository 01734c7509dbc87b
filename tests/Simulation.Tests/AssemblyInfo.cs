// Each test uses all cores, and a fault in the engines is one of the whole process.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
