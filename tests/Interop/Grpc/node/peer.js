// SPDX-License-Identifier: Apache-2.0
// A gRPC peer under remote control: reads one JSON command a line on stdin, answers each with one JSON line on stdout,
// and reports what its server sees as lines with "event". Ends when stdin ends.
'use strict';
const path = require('node:path');
const readline = require('node:readline');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const protos = path.join(__dirname, 'protos');
const definition = loader.loadSync('rpc/rpc.proto', { keepCase: true, defaults: true, includeDirs: [protos] });
const { CNIBackend } = grpc.loadPackageDefinition(definition).rpc;

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');
const utf8 = (bytes) => Buffer.from(bytes).toString('utf8');

// Metadata travels in commands as a list of [name, text] or [name, { hex }].
function toMetadata(entries, prefix = '') {
  const metadata = new grpc.Metadata();
  for (const [name, value] of entries ?? []) metadata.add(prefix + name, typeof value === 'string' ? value : Buffer.from(value.hex, 'hex'));
  return metadata;
}

function fromMetadata(metadata) {
  const entries = [];
  if (!metadata) return entries;
  for (const name of Object.keys(metadata.getMap())) {
    for (const value of metadata.get(name)) entries.push([name, typeof value === 'string' ? value : { hex: value.toString('hex') }]);
  }
  return entries;
}

// Told by the request's metadata what to do: "do: fail" with code and text, "do: hang" until cancelled, else echo.
function addNetwork(call, callback) {
  const told = (name) => call.metadata.get(name)[0];
  const mine = fromMetadata(call.metadata).filter(([name]) => name.startsWith('m-'));
  const trailers = toMetadata(mine, 't-');
  if (mine.length > 0) call.sendMetadata(toMetadata(mine, 'h-'));
  if (told('do') === 'fail') {
    callback({ code: Number(told('code')), details: utf8(told('text-bin')), metadata: trailers });
  } else if (told('do') === 'hang') {
    const deadline = call.getDeadline();
    say({ event: 'entered', remaining: deadline instanceof Date ? deadline.getTime() - Date.now() : deadline - Date.now() });
    call.on('cancelled', () => say({ event: 'cancelled' }));
  } else {
    callback(null, { Success: true, PodENIMAC: call.request.Netns, PodENISubnetGW: told('user-agent') }, trailers);
  }
}

const commands = {
  serve: ({ address, options }) => new Promise((resolve, reject) => {
    const server = new grpc.Server(options);
    server.addService({ AddNetwork: CNIBackend.service.AddNetwork }, { AddNetwork: addNetwork });
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, port) => (error ? reject(error) : resolve({ port })));
  }),

  call: ({ address, method, request, metadata, deadline, cancel, options, pathOverride }) => new Promise((resolve) => {
    const client = new CNIBackend(address, grpc.credentials.createInsecure(), options);
    const result = { headers: [], trailers: [] };
    const callOptions = deadline === undefined ? {} : { deadline: Date.now() + deadline };
    const stub = CNIBackend.service[method];
    const call = client.makeUnaryRequest(pathOverride ?? stub.path, stub.requestSerialize, stub.responseDeserialize, request, toMetadata(metadata), callOptions, (error, reply) => {
      result.code = error ? error.code : 0;
      result.details = error ? error.details : '';
      result.reply = reply;
      if (error) finish(error.metadata);
    });
    const finish = (trailers) => {
      result.trailers = fromMetadata(trailers);
      client.close();
      resolve(result);
    };
    call.on('metadata', (headers) => { result.headers = fromMetadata(headers); });
    call.on('status', (status) => { if (status.code === 0) finish(status.metadata); });
    if (cancel !== undefined) setTimeout(() => call.cancel(), cancel);
  }),
};

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, command, ...rest } = JSON.parse(line);
  try {
    say({ id, ...(await commands[command](rest)) });
  } catch (error) {
    say({ id, failed: String(error) });
  }
}).on('close', () => process.exit(0));
say({ event: 'ready', version: require('@grpc/grpc-js/package.json').version });
