// Drives an org with jsforce and prints one JSON document: what each step gave back.
// Input (stdin): {"url", "client_id", "client_secret", "username", "password", "security_token",
// "refresh_token", "version"}.
import { readFileSync } from "node:fs";
import jsforce from "jsforce";

const org = JSON.parse(readFileSync(0, "utf8"));
const { url: loginUrl, client_id: clientId, client_secret: clientSecret, version } = org;
const oauth2 = { loginUrl, clientId, clientSecret };
const seen = {};

async function step(name, work) {
  try {
    seen[name] = (await work()) ?? null;
  } catch (error) {
    seen[name] = { failed: error.errorCode ?? error.name, message: error.message };
  }
}

const conn = new jsforce.Connection({ oauth2, version });
await step("authorize", () => conn.authorize({ grant_type: "client_credentials" }));
await step("soap_login", async () => {
  const soap = new jsforce.Connection({ loginUrl, version: "62.0" });
  return soap.login(org.username, org.password + org.security_token);
});
await step("soap_login_refused", () => new jsforce.Connection({ loginUrl, version: "62.0" }).login("x", "y"));
await step("refresh", async () => {
  const stale = new jsforce.Connection({
    oauth2,
    version,
    instanceUrl: conn.instanceUrl,
    accessToken: "00Dstale!token",
    refreshToken: org.refresh_token,
  });
  return (await stale.query("SELECT Id FROM User LIMIT 1")).totalSize;
});
await step("identity", () => conn.identity());
await step("describe_global", async () => (await conn.describeGlobal()).sobjects.map((o) => o.name));
await step("describe", async () => {
  const d = await conn.sobject("Contact").describe();
  return { name: d.name, fields: d.fields.map((f) => f.name), keyPrefix: d.keyPrefix };
});
await step("create", () =>
  conn.sobject("Contact").create([
    { LastName: "Zoë 🚀", Email: "zoe@example.com", Description: 'line\nbreak "quoted", comma' },
    { LastName: "O'Brien" },
    { LastName: "Third" },
  ]),
);
const ids = Array.isArray(seen.create) ? seen.create.map((r) => r.id) : [];
await step("retrieve_one", () => conn.sobject("Contact").retrieve(ids[0]));
await step("retrieve_many", () => conn.sobject("Contact").retrieve([...ids]));
await step("update", () => conn.sobject("Contact").update({ Id: ids[0], Title: "東京" }));
await step("create_refused", () => conn.sobject("Contact").create({ FirstName: "nobody" }));
await step("query", () =>
  conn.query(`SELECT Id, Name, Title, Account.Name FROM Contact WHERE Id IN ('${ids.join("','")}') ORDER BY Id`),
);
await step("query_refused", () => conn.query("SELECT Naem FROM Contact"));
await step("count", async () => (await conn.query("SELECT COUNT() FROM Contact")).totalSize);
await step("all_pages", async () => {
  const answer = await conn.query("SELECT Id FROM Contact", { autoFetch: true, maxFetch: 100000 });
  return new Set(answer.records.map((r) => r.Id)).size;
});
await step("delete", () => conn.sobject("Contact").destroy(ids[2]));
await step("scan_all", () =>
  conn.query(`SELECT Id, IsDeleted FROM Contact WHERE Id = '${ids[2]}'`).scanAll(true).run(),
);
await step("deleted", () => {
  const end = new Date(Date.now() + 120_000);
  return conn.sobject("Contact").deleted(new Date(Date.now() - 600_000), end);
});
await step("updated", () => {
  const end = new Date(Date.now() + 120_000);
  return conn.sobject("Contact").updated(new Date(Date.now() - 600_000), end);
});
await step("bulk2", async () => {
  conn.bulk2.pollInterval = 50;
  const stream = await conn.bulk2.query(
    `SELECT Id, LastName, Description FROM Contact WHERE Id IN ('${ids.slice(0, 2).join("','")}') ORDER BY Id`,
  );
  return stream.toArray();
});
await step("bulk2_all", async () => {
  const stream = await conn.bulk2.query("SELECT Id FROM Contact");
  return (await stream.toArray()).length;
});
await step("limits", async () => (await conn.limits()).DailyApiRequests);
await step("limit_info", () => conn.limitInfo.apiUsage);
await step("tooling", () => conn.tooling.query("SELECT Id, Name FROM ApexTrigger"));
await step("versions", () => conn.request("/services/data"));
await step("composite", () =>
  conn.requestPost("/composite", {
    compositeRequest: [
      {
        method: "POST",
        url: `/services/data/v${version}/sobjects/Account`,
        referenceId: "made",
        body: { Name: "Composite" },
      },
      {
        method: "GET",
        url: `/services/data/v${version}/sobjects/Account/@{made.id}?fields=Name`,
        referenceId: "read",
      },
    ],
  }),
);
await step("revoke", async () => {
  await conn.oauth2.revokeToken(conn.accessToken);
  return "done";
});
console.log(JSON.stringify(seen));
