-- The members of a cluster, as Orleans 10 asks for them: it finds its statements in OrleansQuery and knows keys, parameters and
-- columns by name. Every statement here may run again.

create table if not exists OrleansQuery
(
    QueryKey varchar(64) not null primary key,
    QueryText varchar(8000) not null
);

-- One row for each cluster: its version rises with every change of its members.
create table if not exists OrleansMembershipVersionTable
(
    DeploymentId varchar(150) not null primary key,
    Timestamp timestamptz(3) not null default now(),
    Version integer not null default 0
);

-- One row for each start of a silo.
create table if not exists OrleansMembershipTable
(
    DeploymentId varchar(150) not null references OrleansMembershipVersionTable (DeploymentId),
    Address varchar(45) not null,
    Port integer not null,
    Generation integer not null,
    SiloName varchar(150) not null,
    HostName varchar(150) not null,
    Status integer not null,
    ProxyPort integer,
    SuspectTimes varchar(8000),
    StartTime timestamptz(3) not null,
    IAmAliveTime timestamptz(3) not null,
    primary key (DeploymentId, Address, Port, Generation)
);

insert into OrleansQuery (QueryKey, QueryText) values
('InsertMembershipVersionKey', $query$
    with added as
    (
        insert into OrleansMembershipVersionTable (DeploymentId) values (@DeploymentId)
        on conflict do nothing
        returning 1
    )
    select count(*) from added
$query$),
-- The version's row is locked first: of two changes on one version the second finds another one and changes nothing.
('InsertMembershipKey', $query$
    with version as
    (
        select DeploymentId from OrleansMembershipVersionTable
        where DeploymentId = @DeploymentId and Version = @Version
        for update
    ),
    added as
    (
        insert into OrleansMembershipTable
            (DeploymentId, Address, Port, Generation, SiloName, HostName, Status, ProxyPort, StartTime, IAmAliveTime)
        select DeploymentId, @Address, @Port, @Generation, @SiloName, @HostName, @Status, @ProxyPort, @StartTime, @IAmAliveTime from version
        on conflict do nothing
        returning DeploymentId
    ),
    raised as
    (
        update OrleansMembershipVersionTable as v set Timestamp = now(), Version = v.Version + 1
        from added where v.DeploymentId = added.DeploymentId
        returning 1
    )
    select count(*) from raised
$query$),
('UpdateMembershipKey', $query$
    with version as
    (
        select DeploymentId from OrleansMembershipVersionTable
        where DeploymentId = @DeploymentId and Version = @Version
        for update
    ),
    changed as
    (
        update OrleansMembershipTable as m set Status = @Status, SuspectTimes = @SuspectTimes, IAmAliveTime = @IAmAliveTime
        from version
        where m.DeploymentId = version.DeploymentId and m.Address = @Address and m.Port = @Port and m.Generation = @Generation
        returning m.DeploymentId
    ),
    raised as
    (
        update OrleansMembershipVersionTable as v set Timestamp = now(), Version = v.Version + 1
        from changed where v.DeploymentId = changed.DeploymentId
        returning 1
    )
    select count(*) from raised
$query$),
('UpdateIAmAlivetimeKey', $query$
    update OrleansMembershipTable set IAmAliveTime = @IAmAliveTime
    where DeploymentId = @DeploymentId and Address = @Address and Port = @Port and Generation = @Generation
$query$),
-- Without a member there is still the version.
('MembershipReadRowKey', $query$
    select v.DeploymentId, m.Address, m.Port, m.Generation, m.SiloName, m.HostName, m.Status, m.ProxyPort, m.SuspectTimes, m.StartTime, m.IAmAliveTime, v.Version
    from OrleansMembershipVersionTable v
    left join OrleansMembershipTable m
        on m.DeploymentId = v.DeploymentId and m.Address = @Address and m.Port = @Port and m.Generation = @Generation
    where v.DeploymentId = @DeploymentId
$query$),
('MembershipReadAllKey', $query$
    select v.DeploymentId, m.Address, m.Port, m.Generation, m.SiloName, m.HostName, m.Status, m.ProxyPort, m.SuspectTimes, m.StartTime, m.IAmAliveTime, v.Version
    from OrleansMembershipVersionTable v
    left join OrleansMembershipTable m on m.DeploymentId = v.DeploymentId
    where v.DeploymentId = @DeploymentId
$query$),
('GatewaysQueryKey', $query$
    select Address, ProxyPort, Generation from OrleansMembershipTable
    where DeploymentId = @DeploymentId and Status = @Status and ProxyPort > 0
$query$),
('DeleteMembershipTableEntriesKey', $query$
    delete from OrleansMembershipTable where DeploymentId = @DeploymentId;
    delete from OrleansMembershipVersionTable where DeploymentId = @DeploymentId
$query$),
-- 3 is active.
('CleanupDefunctSiloEntriesKey', $query$
    delete from OrleansMembershipTable where DeploymentId = @DeploymentId and IAmAliveTime < @IAmAliveTime and Status <> 3
$query$)
on conflict (QueryKey) do update set QueryText = excluded.QueryText;
