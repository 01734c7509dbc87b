-- The state of grains that keep one. Every statement here may run again.

create table if not exists OrleansStorage
(
    GrainIdHash integer not null,
    GrainIdN0 bigint not null,
    GrainIdN1 bigint not null,
    GrainTypeHash integer not null,
    GrainTypeString varchar(512) not null,
    GrainIdExtensionString varchar(512),
    ServiceId varchar(150) not null,
    PayloadBinary bytea,
    ModifiedOn timestamp not null,
    Version integer
);

create unique index if not exists OrleansStorageGrain on OrleansStorage
    (GrainIdHash, GrainTypeHash, GrainIdN0, GrainIdN1, GrainTypeString, coalesce(GrainIdExtensionString, ''), ServiceId);

-- A version that is not the stored one changes nothing and comes back as it was: Orleans takes that for a conflict.
insert into OrleansQuery (QueryKey, QueryText) values
('WriteToStorageKey', $query$
    with changed as
    (
        update OrleansStorage set PayloadBinary = @PayloadBinary, ModifiedOn = now() at time zone 'utc', Version = Version + 1
        where GrainIdHash = @GrainIdHash and GrainTypeHash = @GrainTypeHash and GrainIdN0 = @GrainIdN0 and GrainIdN1 = @GrainIdN1
            and GrainTypeString = @GrainTypeString and GrainIdExtensionString is not distinct from @GrainIdExtensionString::varchar
            and ServiceId = @ServiceId and Version = @GrainStateVersion::integer
        returning Version
    ),
    added as
    (
        insert into OrleansStorage
            (GrainIdHash, GrainIdN0, GrainIdN1, GrainTypeHash, GrainTypeString, GrainIdExtensionString, ServiceId, PayloadBinary, ModifiedOn, Version)
        select @GrainIdHash, @GrainIdN0, @GrainIdN1, @GrainTypeHash, @GrainTypeString, @GrainIdExtensionString::varchar, @ServiceId, @PayloadBinary,
            now() at time zone 'utc', 1
        where @GrainStateVersion::integer is null
        on conflict do nothing
        returning Version
    )
    select coalesce((select Version from changed), (select Version from added), @GrainStateVersion::integer) as NewGrainStateVersion
$query$),
('ReadFromStorageKey', $query$
    select PayloadBinary, ModifiedOn, Version from OrleansStorage
    where GrainIdHash = @GrainIdHash and GrainTypeHash = @GrainTypeHash and GrainIdN0 = @GrainIdN0 and GrainIdN1 = @GrainIdN1
        and GrainTypeString = @GrainTypeString and GrainIdExtensionString is not distinct from @GrainIdExtensionString::varchar
        and ServiceId = @ServiceId
$query$),
('ClearStorageKey', $query$
    with changed as
    (
        update OrleansStorage set PayloadBinary = null, ModifiedOn = now() at time zone 'utc', Version = Version + 1
        where GrainIdHash = @GrainIdHash and GrainTypeHash = @GrainTypeHash and GrainIdN0 = @GrainIdN0 and GrainIdN1 = @GrainIdN1
            and GrainTypeString = @GrainTypeString and GrainIdExtensionString is not distinct from @GrainIdExtensionString::varchar
            and ServiceId = @ServiceId and Version = @GrainStateVersion::integer
        returning Version
    )
    select coalesce((select Version from changed), @GrainStateVersion::integer) as NewGrainStateVersion
$query$),
('DeleteStorageKey', $query$
    with gone as
    (
        delete from OrleansStorage
        where GrainIdHash = @GrainIdHash and GrainTypeHash = @GrainTypeHash and GrainIdN0 = @GrainIdN0 and GrainIdN1 = @GrainIdN1
            and GrainTypeString = @GrainTypeString and GrainIdExtensionString is not distinct from @GrainIdExtensionString::varchar
            and ServiceId = @ServiceId and Version = @GrainStateVersion::integer
        returning Version
    )
    select coalesce((select Version + 1 from gone), @GrainStateVersion::integer) as NewGrainStateVersion
$query$)
on conflict (QueryKey) do update set QueryText = excluded.QueryText;
