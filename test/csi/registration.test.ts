import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstat, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { type Driver, startDriver } from '../../csi/driver.ts';
import { ManualTimers } from '../platform/kubernetes/support/manual-timers.ts';
import { connectTo } from './support/kubelet.ts';
import { silentObserver } from './support/silent-observer.ts';
import { fakeSource } from './support/source.ts';

async function openRoot() {
  const parts = new AsyncDisposableStack();
  const kubeletRoot = await mkdtemp(join(tmpdir(), 'csi-'));
  parts.defer(() => rm(kubeletRoot, { recursive: true, force: true }));
  const timers = new ManualTimers();
  const start = async (): Promise<Driver> => {
    const driver = await startDriver({
      kubeletRoot,
      timers,
      nodeName: 'node-1',
      source: fakeSource({ now: timers.now }),
      mounts: {
        all: async () => [],
        at: async () => [],
        mount: async () => {},
        resize: async () => {},
        unmount: async () => {},
      },
      refreshMs: 300_000,
      volumesBytes: 268_435_456,
      now: timers.now,
      random: () => 0.5,
      settle: async () => {},
      log: pino({ level: 'silent' }),
      observer: silentObserver,
    });
    parts.defer(() => driver.close());
    return driver;
  };
  const sockets = [
    join(kubeletRoot, 'plugins_registry/connectors-csi-reg.sock'),
    join(kubeletRoot, 'plugins/connectors-csi/csi.sock'),
  ] as const;
  const ask = async (socket: string, method: string, request: object = {}) => {
    const client = connectTo(socket);
    try {
      return await client.call(method, request);
    } finally {
      client.close();
    }
  };
  return { kubeletRoot, timers, start, sockets, ask, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

const inodeOf = async (path: string) => (await lstat(path).catch(() => undefined))?.ino;

test('the kubelet finds the driver in its folder of plugins, and the driver is ready when it is registered', async () => {
  await using root = await openRoot();
  const driver = await root.start();
  const [registration, csi] = root.sockets;
  expect(driver.endpoint).toBe(csi);
  expect(driver.problem).toBe('the kubelet has not registered this driver yet');
  expect(await root.ask(registration, 'GetInfo')).toMatchObject({
    code: 'OK',
    answer: { type: 'CSIPlugin', name: 'connectors-csi', endpoint: csi, supported_versions: ['1.0.0'] },
  });
  expect(await root.ask(csi, 'NodeGetInfo')).toMatchObject({
    answer: { node_id: 'node-1', max_volumes_per_node: 0, accessible_topology: null },
  });
  expect(await root.ask(registration, 'NotifyRegistrationStatus', { plugin_registered: true })).toMatchObject({
    code: 'OK',
  });
  expect(driver.problem).toBeUndefined();
});

test('says what it is and can, and that it does not know the rest', async () => {
  await using root = await openRoot();
  const { endpoint } = await root.start();
  expect(await root.ask(endpoint, 'GetPluginInfo')).toMatchObject({
    answer: { name: 'connectors-csi', vendor_version: '1' },
  });
  expect(await root.ask(endpoint, 'GetPluginCapabilities')).toMatchObject({ answer: { capabilities: [] } });
  expect(await root.ask(endpoint, 'Probe')).toMatchObject({ answer: { ready: { value: true } } });
  expect(await root.ask(endpoint, 'NodeGetCapabilities')).toMatchObject({
    answer: { capabilities: [{ rpc: { type: 'VOLUME_MOUNT_GROUP' } }] },
  });
  // Of another service.
  expect(await root.ask(endpoint, 'GetInfo')).toMatchObject({ code: 'UNIMPLEMENTED' });
  expect(await root.ask(endpoint, 'NodeUnpublishVolume', { volume_id: 'x'.repeat(2_000_000) })).toMatchObject({
    code: 'RESOURCE_EXHAUSTED',
  });
});

test('only root comes to the sockets', async () => {
  await using root = await openRoot();
  await root.start();
  for (const socket of root.sockets) {
    const { mode } = await lstat(socket);
    expect((mode & 0o777).toString(8)).toBe('600');
  }
});

test('a refusal of the kubelet is why the driver is not ready, and it offers itself again', async () => {
  await using root = await openRoot();
  const driver = await root.start();
  const [registration] = root.sockets;
  const before = await inodeOf(registration);
  await root.ask(registration, 'NotifyRegistrationStatus', { plugin_registered: false, error: 'no\nway' });
  expect(driver.problem).toBe('the kubelet refused to register this driver: no?way');
  await root.timers.advance(10_000);
  await expect.poll(() => inodeOf(registration)).not.toBe(before);
  await root.ask(registration, 'NotifyRegistrationStatus', { plugin_registered: true });
  expect(driver.problem).toBeUndefined();
});

test('a kubelet that asks and never says how it went is offered the driver again', async () => {
  await using root = await openRoot();
  const driver = await root.start();
  const [registration] = root.sockets;
  const before = await inodeOf(registration);
  await root.ask(registration, 'GetInfo');
  await root.timers.advance(59_999);
  expect(await inodeOf(registration)).toBe(before);
  await root.timers.advance(1);
  await expect.poll(() => inodeOf(registration)).not.toBe(before);
  const renewed = await inodeOf(registration);
  await root.ask(registration, 'GetInfo');
  await root.ask(registration, 'NotifyRegistrationStatus', { plugin_registered: true });
  await root.timers.advance(3_600_000);
  expect(await inodeOf(registration)).toBe(renewed);
  expect(driver.problem).toBeUndefined();
});

test('who is connected to a socket that was made anew is sent to the new one', async () => {
  await using root = await openRoot();
  await root.start();
  const [, csi] = root.sockets;
  const session = connectHttp2('http://localhost', { createConnection: () => connect(csi) });
  await once(session, 'remoteSettings');
  const closed = once(session, 'close');
  await rm(csi);
  await root.timers.advance(1_000);
  await closed;
  expect(await root.ask(csi, 'Probe')).toMatchObject({ code: 'OK' });
});

test.each([0, 1])('a socket that somebody removes is there again (%i)', async (which) => {
  await using root = await openRoot();
  await root.start();
  const socket = root.sockets[which] ?? '';
  await rm(socket);
  await root.timers.advance(1_000);
  await expect.poll(() => inodeOf(socket)).toBeDefined();
  expect(await root.ask(socket, which === 0 ? 'GetInfo' : 'Probe')).toMatchObject({ code: 'OK' });
});

test('a folder of plugins that somebody removes is made again', async () => {
  await using root = await openRoot();
  const driver = await root.start();
  const [registration] = root.sockets;
  await rm(join(root.kubeletRoot, 'plugins_registry'), { recursive: true });
  await writeFile(join(root.kubeletRoot, 'plugins_registry'), 'in the way');
  await root.timers.advance(1_000);
  await expect.poll(() => driver.problem).toBe('the registration socket cannot be made');
  await rm(join(root.kubeletRoot, 'plugins_registry'));
  await root.timers.advance(1_000);
  await expect.poll(() => inodeOf(registration)).toBeDefined();
  expect(await root.ask(registration, 'GetInfo')).toMatchObject({ code: 'OK' });
});

test('what a driver that was killed has left is replaced', async () => {
  await using root = await openRoot();
  for (const socket of root.sockets) {
    await mkdir(join(socket, '..'), { recursive: true });
    const child = spawn(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, 9))`,
    ]);
    await once(child, 'exit');
    expect((await lstat(socket)).isSocket()).toBe(true);
  }
  await root.start();
  for (const [at, method] of ['GetInfo', 'Probe'].entries()) {
    expect(await root.ask(root.sockets[at] ?? '', method)).toMatchObject({ code: 'OK' });
  }
});

test('a driver that ends leaves no socket, unless another one is there already', async () => {
  await using root = await openRoot();
  const first = await root.start();
  await first.close();
  for (const socket of root.sockets) await expect(lstat(socket)).rejects.toThrow('ENOENT');

  const second = await root.start();
  const [registration] = root.sockets;
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(`${registration}.other`, resolve));
  await rename(`${registration}.other`, registration);
  const inode = await inodeOf(registration);
  await second.close();
  expect(await inodeOf(registration)).toBe(inode);
  expect(await readdir(join(root.kubeletRoot, 'plugins_registry'))).toEqual(['connectors-csi-reg.sock']);
  await new Promise((resolve) => other.close(resolve));
});
