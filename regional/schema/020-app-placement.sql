-- What the world is told of this region: which apps are here, and whether they serve. Bring your own tables by bringing
-- your own view of this name; the border publishes a row's change only when its class changes.
CREATE VIEW app_placement AS
SELECT app, CASE WHEN max(state = 'started') THEN 'serving' ELSE 'standby' END AS class
FROM machines
WHERE state <> 'destroyed'
GROUP BY app;
