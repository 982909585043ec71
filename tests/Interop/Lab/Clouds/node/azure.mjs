// SPDX-License-Identifier: Apache-2.0
// Changes IP configurations and routes with Microsoft's clients: node azure.mjs ENDPOINT TOKEN. Prints a JSON object.
import { NetworkManagementClient } from '@azure/arm-network';
import { ComputeManagementClient } from '@azure/arm-compute';

const [endpoint, token] = process.argv.slice(2);
const subscription = '00000000-0000-4000-8000-000000000001';
const group = 'vpc-lab';
const credential = { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 }) };

// The clients send no token without TLS, so a policy of ours does.
function create(Client) {
  const client = new Client(credential, subscription, {
    endpoint,
    additionalPolicies: [
      {
        position: 'perRetry',
        policy: {
          name: 'plainToken',
          sendRequest: (request, next) => {
            request.allowInsecureConnection = true;
            request.headers.set('Authorization', `Bearer ${token}`);
            return next(request);
          },
        },
      },
    ],
  });
  client.pipeline.removePolicy({ name: 'bearerTokenAuthenticationPolicy' });
  return client;
}

// Newer versions of the clients name a method without begin and wait.
const call = (operations, name, ...rest) => {
  const waiting = `begin${name[0].toUpperCase()}${name.slice(1)}AndWait`;
  return (operations[waiting] ?? operations[name]).call(operations, ...rest);
};
const addressesOf = (nic) => nic.ipConfigurations.map((configuration) => configuration.privateIPAddress);

const network = create(NetworkManagementClient);
const compute = create(ComputeManagementClient);
const seen = {};

const nic = await network.networkInterfaces.get(group, 'node-1-nic');
const subnet = nic.ipConfigurations[0].subnet;
nic.ipConfigurations.push({ name: 'pod-1', subnet, privateIPAllocationMethod: 'Dynamic' });
nic.ipConfigurations.push({ name: 'block-1', subnet, privateIPAllocationMethod: 'Dynamic', privateIPAddressPrefixLength: 28 });
seen.addresses = addressesOf(await call(network.networkInterfaces, 'createOrUpdate', group, 'node-1-nic', nic));
nic.ipConfigurations.push({ name: 'bad', subnet, privateIPAllocationMethod: 'Static', privateIPAddress: '10.9.9.9' });
try {
  await call(network.networkInterfaces, 'createOrUpdate', group, 'node-1-nic', nic);
} catch (error) {
  seen.error = `${error.statusCode} ${error.code}`;
}

const route = { addressPrefix: '172.20.1.0/24', nextHopType: 'VirtualAppliance', nextHopIpAddress: seen.addresses[0] };
seen.route = (await call(network.routes, 'createOrUpdate', group, 'routes', 'node-1', route)).provisioningState;
seen.routes = [];
for await (const each of network.routes.list(group, 'routes')) seen.routes.push(`${each.name} ${each.addressPrefix}`);
await call(network.routes, 'delete', group, 'routes', 'node-1');

const machine = await compute.virtualMachineScaleSetVMs.get(group, 'pool', '0');
const configuration = machine.networkProfileConfiguration.networkInterfaceConfigurations[0];
configuration.ipConfigurations.push({ name: 'pod-1', subnet: configuration.ipConfigurations[0].subnet, primary: false });
await call(compute.virtualMachineScaleSetVMs, 'update', group, 'pool', '0', machine);
const ofSet = await network.networkInterfaces.getVirtualMachineScaleSetNetworkInterface(group, 'pool', '0', 'pool-nic');
seen.scaleSet = addressesOf(ofSet).length;
console.log(JSON.stringify(seen));
