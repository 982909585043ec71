// SPDX-License-Identifier: Apache-2.0
// Changes alias ranges and routes with Google's client: node gce.mjs HOST PORT. The token comes from the metadata (GCE_METADATA_HOST).
// Prints a JSON object.
import compute from '@google-cloud/compute';

const [host, port] = process.argv.slice(2);
const options = { apiEndpoint: host, port: Number(port), protocol: 'http', fallback: 'rest', projectId: 'vpc-lab' };
const instances = new compute.InstancesClient(options);
const zoneOperations = new compute.ZoneOperationsClient(options);
const globalOperations = new compute.GlobalOperationsClient(options);
const routes = new compute.RoutesClient(options);
const project = 'vpc-lab';
const zone = 'us-central1-a';
const seen = {};

async function nicOf(instance) {
  return (await instances.get({ project, zone, instance }))[0].networkInterfaces[0];
}

async function update(instance, nic) {
  const [started] = await instances.updateNetworkInterface({
    project, zone, instance, networkInterface: 'nic0', networkInterfaceResource: nic, requestId: crypto.randomUUID(),
  });
  let operation = started.latestResponse;
  while (operation.status !== 'DONE') [operation] = await zoneOperations.wait({ project, zone, operation: operation.name });
  return operation;
}

let nic = await nicOf('node-1');
nic.aliasIpRanges = [{ ipCidrRange: '/28', subnetworkRangeName: 'pods' }, { ipCidrRange: '10.4.1.7', subnetworkRangeName: 'pods' }];
seen.updateError = (await update('node-1', nic)).error ?? null;
seen.aliases = (await nicOf('node-1')).aliasIpRanges.map((alias) => alias.ipCidrRange).sort();
try {
  await update('node-1', nic);
} catch (error) {
  seen.staleCode = error.code;
}

nic = await nicOf('node-2');
nic.aliasIpRanges = [{ ipCidrRange: '10.4.1.7', subnetworkRangeName: 'pods' }];
seen.conflict = (await update('node-2', nic)).error.errors[0].code;

const [inserted] = await routes.insert({
  project,
  routeResource: {
    name: 'node-1', network: `projects/${project}/global/networks/net`, destRange: '172.20.1.0/24', priority: 1000,
    nextHopInstance: `projects/${project}/zones/${zone}/instances/node-1`,
  },
});
await globalOperations.wait({ project, operation: inserted.latestResponse.name });
seen.routes = [];
for await (const route of routes.listAsync({ project, filter: 'destRange eq 172.*' })) seen.routes.push(`${route.name} ${route.destRange}`);
await routes.delete({ project, route: 'node-1' });
seen.instances = [];
for await (const instance of instances.listAsync({ project, zone, maxResults: 1 })) seen.instances.push(instance.name);
console.log(JSON.stringify(seen));
