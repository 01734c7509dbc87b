-- The state of grains that keep one. Every statement here may run again.

create table if not exists OrleansStorage
(
    GrainIdHash integer not null,
    GrainIdN0 integer not null,
    GrainIdN1 integer not null,
    GrainTypeHash integer not null,
    GrainTypeString text not null,
    GrainIdExtensionString text,
    ServiceId text not null,
    PayloadBinary blob,
    ModifiedOn text not null,
    Version integer
);

create unique index if not exists OrleansStorageGrain on OrleansStorage
    (GrainIdHash, GrainTypeHash, GrainIdN0, GrainIdN1, GrainTypeString, ifnull(GrainIdExtensionString, ''), ServiceId);

-- A version that is not the stored one changes nothing and comes back as it was: Orleans takes that for a conflict.
insert into OrleansQuery (QueryKey, QueryText) values
('WriteToStorageKey', '
    insert into OrleansStorage
        (GrainIdHash, GrainIdN0, GrainIdN1, GrainTypeHash, GrainTypeString, GrainIdExtensionString, ServiceId, PayloadBinary, ModifiedOn, Version)
    select @GrainIdHash, @GrainIdN0, @GrainIdN1, @GrainTypeHash, @GrainTypeString, @GrainIdExtensionString, @ServiceId, @PayloadBinary, current_timestamp, 1
    where @GrainStateVersion is null
    on conflict do nothing
    returning Version as NewGrainStateVersion;
    update OrleansStorage set PayloadBinary = @PayloadBinary, ModifiedOn = current_timestamp, Version = Version + 1
    where GrainIdHash = @GrainIdHash and GrainTypeHash = @GrainTypeHash and GrainIdN0 = @GrainIdN0 and GrainIdN1 = @GrainIdN1
        and GrainTypeString = @GrainTypeString and GrainIdExtensionString is @GrainIdExtensionString and ServiceId = @ServiceId
        and Version = @GrainStateVersion
    returning Version as NewGrainStateVersion;
    select @GrainStateVersion as NewGrainStateVersion where @GrainStateVersion is not null and changes() = 0;
'),
('ReadFromStorageKey', '
    select PayloadBinary, ModifiedOn, Version from OrleansStorage
    where GrainIdHash = @GrainIdHash and GrainTypeHash = @GrainTypeHash and GrainIdN0 = @GrainIdN0 and GrainIdN1 = @GrainIdN1
        and GrainTypeString = @GrainTypeString and GrainIdExtensionString is @GrainIdExtensionString and ServiceId = @ServiceId;
'),
('ClearStorageKey', '
    update OrleansStorage set PayloadBinary = null, ModifiedOn = current_timestamp, Version = Version + 1
    where GrainIdHash = @GrainIdHash and GrainTypeHash = @GrainTypeHash and GrainIdN0 = @GrainIdN0 and GrainIdN1 = @GrainIdN1
        and GrainTypeString = @GrainTypeString and GrainIdExtensionString is @GrainIdExtensionString and ServiceId = @ServiceId
        and Version = @GrainStateVersion
    returning Version as NewGrainStateVersion;
    select @GrainStateVersion as NewGrainStateVersion where @GrainStateVersion is not null and changes() = 0;
'),
('DeleteStorageKey', '
    delete from OrleansStorage
    where GrainIdHash = @GrainIdHash and GrainTypeHash = @GrainTypeHash and GrainIdN0 = @GrainIdN0 and GrainIdN1 = @GrainIdN1
        and GrainTypeString = @GrainTypeString and GrainIdExtensionString is @GrainIdExtensionString and ServiceId = @ServiceId
        and Version = @GrainStateVersion
    returning Version + 1 as NewGrainStateVersion;
    select @GrainStateVersion as NewGrainStateVersion where @GrainStateVersion is not null and changes() = 0;
')
on conflict (QueryKey) do update set QueryText = excluded.QueryText;
