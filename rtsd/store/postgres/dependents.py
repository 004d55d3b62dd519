"""What of a user's depends on the type of a column, so that PostgreSQL refuses to change it, or might.

Plain indexes, unique constraints and statistics are rebuilt, and grants stay: these are no hindrance
(https://www.postgresql.org/docs/current/sql-altertable.html, SET DATA TYPE). What rtsd would have to
drop, as a view, or what may not fit the new type, as an index on an expression, is left to the user. Views of
rtsd's own, which a comment marks, let go of the column by themselves (`store.postgres.views`).
"""

_REMEDY = """CASE d.classid
 WHEN 'pg_rewrite'::regclass THEN CASE v.relkind
  WHEN 'v' THEN 'DROP VIEW ' || v.oid::regclass
  WHEN 'm' THEN 'DROP MATERIALIZED VIEW ' || v.oid::regclass
  ELSE format('DROP RULE %I ON %s', r.rulename, v.oid::regclass) END
 WHEN 'pg_class'::regclass THEN 'DROP INDEX ' || d.objid::regclass
 WHEN 'pg_constraint'::regclass
  THEN format('ALTER TABLE %s DROP CONSTRAINT %I', con.conrelid::regclass, con.conname)
 WHEN 'pg_attrdef'::regclass
  THEN format('ALTER TABLE %s ALTER COLUMN %I DROP %s', def.adrelid::regclass, computed.attname,
   CASE computed.attgenerated WHEN '' THEN 'DEFAULT' ELSE 'EXPRESSION' END)
 WHEN 'pg_policy'::regclass THEN format('DROP POLICY %I ON %s', pol.polname, pol.polrelid::regclass)
 ELSE 'drop the ' || pg_describe_object(d.classid, d.objid, d.objsubid) END"""

DEPENDENTS = f"""SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), {_REMEDY}
 FROM pg_depend AS d
 JOIN pg_class AS c ON c.oid = d.refobjid
 JOIN pg_namespace AS n ON n.oid = c.relnamespace
 JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
 LEFT JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
 LEFT JOIN pg_class AS v ON v.oid = r.ev_class
 LEFT JOIN pg_index AS i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid
 LEFT JOIN pg_constraint AS con ON d.classid = 'pg_constraint'::regclass AND con.oid = d.objid
 LEFT JOIN pg_attrdef AS def ON d.classid = 'pg_attrdef'::regclass AND def.oid = d.objid
 LEFT JOIN pg_attribute AS computed ON computed.attrelid = def.adrelid AND computed.attnum = def.adnum
 LEFT JOIN pg_policy AS pol ON d.classid = 'pg_policy'::regclass AND pol.oid = d.objid
 WHERE d.refclassid = 'pg_class'::regclass
  AND n.nspname = (?)::text AND c.relname = (?)::text AND a.attname = (?)::text
  AND (d.classid <> 'pg_class'::regclass OR i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
  AND (d.classid <> 'pg_constraint'::regclass OR con.contype IN ('c', 'f', 'x'))
  AND d.classid <> 'pg_statistic_ext'::regclass
  AND COALESCE(obj_description(v.oid, 'pg_class'), '') NOT LIKE 'rtsd: %'
 ORDER BY 1"""
"""Parameters: the schema, the table, the column."""
