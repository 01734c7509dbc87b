-- Reminders of grains. Every statement here may run again.

create table if not exists OrleansRemindersTable
(
    ServiceId varchar(150) not null,
    GrainId varchar(150) not null,
    ReminderName varchar(150) not null,
    StartTime timestamptz(3) not null,
    Period bigint not null,
    GrainHash integer not null,
    Version integer not null,
    primary key (ServiceId, GrainId, ReminderName)
);

insert into OrleansQuery (QueryKey, QueryText) values
('UpsertReminderRowKey', $query$
    insert into OrleansRemindersTable as held (ServiceId, GrainId, ReminderName, StartTime, Period, GrainHash, Version)
    values (@ServiceId, @GrainId, @ReminderName, @StartTime, @Period, @GrainHash, 0)
    on conflict (ServiceId, GrainId, ReminderName) do update
        set StartTime = excluded.StartTime, Period = excluded.Period, GrainHash = excluded.GrainHash, Version = held.Version + 1
    returning Version
$query$),
('ReadReminderRowsKey', $query$
    select GrainId, ReminderName, StartTime, Period, Version from OrleansRemindersTable
    where ServiceId = @ServiceId and GrainId = @GrainId
$query$),
('ReadReminderRowKey', $query$
    select GrainId, ReminderName, StartTime, Period, Version from OrleansRemindersTable
    where ServiceId = @ServiceId and GrainId = @GrainId and ReminderName = @ReminderName
$query$),
('ReadRangeRows1Key', $query$
    select GrainId, ReminderName, StartTime, Period, Version from OrleansRemindersTable
    where ServiceId = @ServiceId and GrainHash > @BeginHash and GrainHash <= @EndHash
$query$),
-- The range that runs over the end of the ring.
('ReadRangeRows2Key', $query$
    select GrainId, ReminderName, StartTime, Period, Version from OrleansRemindersTable
    where ServiceId = @ServiceId and (GrainHash > @BeginHash or GrainHash <= @EndHash)
$query$),
('DeleteReminderRowKey', $query$
    with gone as
    (
        delete from OrleansRemindersTable
        where ServiceId = @ServiceId and GrainId = @GrainId and ReminderName = @ReminderName and Version = @Version
        returning 1
    )
    select count(*) from gone
$query$),
('DeleteReminderRowsKey', $query$
    delete from OrleansRemindersTable where ServiceId = @ServiceId
$query$)
on conflict (QueryKey) do update set QueryText = excluded.QueryText;
