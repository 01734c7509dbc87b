-- The members of a cluster on one machine, as Orleans 10 asks for them: it finds its statements in OrleansQuery and knows keys,
-- parameters and columns by name. Every statement here may run again. RETURNING needs SQLite 3.35.

create table if not exists OrleansQuery
(
    QueryKey text not null primary key,
    QueryText text not null
);

-- One row for each cluster: its version rises with every change of its members.
create table if not exists OrleansMembershipVersionTable
(
    DeploymentId text not null primary key,
    Timestamp text not null default current_timestamp,
    Version integer not null default 0
);

-- One row for each start of a silo.
create table if not exists OrleansMembershipTable
(
    DeploymentId text not null references OrleansMembershipVersionTable (DeploymentId),
    Address text not null,
    Port integer not null,
    Generation integer not null,
    SiloName text not null,
    HostName text not null,
    Status integer not null,
    ProxyPort integer,
    SuspectTimes text,
    StartTime text not null,
    IAmAliveTime text not null,
    primary key (DeploymentId, Address, Port, Generation)
);

-- A change and the version that goes with it are one statement, so they need no transaction.
create trigger if not exists OrleansMembershipAdded after insert on OrleansMembershipTable
begin
    update OrleansMembershipVersionTable set Timestamp = current_timestamp, Version = Version + 1 where DeploymentId = new.DeploymentId;
end;

-- Not when a silo only says that it is alive.
create trigger if not exists OrleansMembershipChanged after update of Status, SuspectTimes on OrleansMembershipTable
begin
    update OrleansMembershipVersionTable set Timestamp = current_timestamp, Version = Version + 1 where DeploymentId = new.DeploymentId;
end;

insert into OrleansQuery (QueryKey, QueryText) values
('InsertMembershipVersionKey', '
    insert into OrleansMembershipVersionTable (DeploymentId) values (@DeploymentId) on conflict do nothing;
    select changes();
'),
('InsertMembershipKey', '
    insert into OrleansMembershipTable
        (DeploymentId, Address, Port, Generation, SiloName, HostName, Status, ProxyPort, StartTime, IAmAliveTime)
    select @DeploymentId, @Address, @Port, @Generation, @SiloName, @HostName, @Status, @ProxyPort, @StartTime, @IAmAliveTime
    where exists (select 1 from OrleansMembershipVersionTable where DeploymentId = @DeploymentId and Version = @Version)
    on conflict do nothing;
    select changes();
'),
('UpdateMembershipKey', '
    update OrleansMembershipTable set Status = @Status, SuspectTimes = @SuspectTimes, IAmAliveTime = @IAmAliveTime
    where DeploymentId = @DeploymentId and Address = @Address and Port = @Port and Generation = @Generation
        and exists (select 1 from OrleansMembershipVersionTable where DeploymentId = @DeploymentId and Version = @Version);
    select changes();
'),
('UpdateIAmAlivetimeKey', '
    update OrleansMembershipTable set IAmAliveTime = @IAmAliveTime
    where DeploymentId = @DeploymentId and Address = @Address and Port = @Port and Generation = @Generation;
'),
-- Without a member there is still the version.
('MembershipReadRowKey', '
    select v.DeploymentId, m.Address, m.Port, m.Generation, m.SiloName, m.HostName, m.Status, m.ProxyPort, m.SuspectTimes, m.StartTime, m.IAmAliveTime, v.Version
    from OrleansMembershipVersionTable v
    left join OrleansMembershipTable m
        on m.DeploymentId = v.DeploymentId and m.Address = @Address and m.Port = @Port and m.Generation = @Generation
    where v.DeploymentId = @DeploymentId;
'),
('MembershipReadAllKey', '
    select v.DeploymentId, m.Address, m.Port, m.Generation, m.SiloName, m.HostName, m.Status, m.ProxyPort, m.SuspectTimes, m.StartTime, m.IAmAliveTime, v.Version
    from OrleansMembershipVersionTable v
    left join OrleansMembershipTable m on m.DeploymentId = v.DeploymentId
    where v.DeploymentId = @DeploymentId;
'),
('GatewaysQueryKey', '
    select Address, ProxyPort, Generation from OrleansMembershipTable
    where DeploymentId = @DeploymentId and Status = @Status and ProxyPort > 0;
'),
('DeleteMembershipTableEntriesKey', '
    delete from OrleansMembershipTable where DeploymentId = @DeploymentId;
    delete from OrleansMembershipVersionTable where DeploymentId = @DeploymentId;
'),
-- 3 is active.
('CleanupDefunctSiloEntriesKey', '
    delete from OrleansMembershipTable where DeploymentId = @DeploymentId and IAmAliveTime < @IAmAliveTime and Status <> 3;
')
on conflict (QueryKey) do update set QueryText = excluded.QueryText;
