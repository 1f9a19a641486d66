import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, realpath, stat, writeFile } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { startCsi } from '../../cli/csi.ts';
import { csiDefaults, readCsiSettings } from '../../cli/csi-settings.ts';
import { probe } from '../../cli/probe.ts';
import { createLogger } from '../../platform/logger.ts';
import { connectorOf } from '../connectors/documents.ts';
import { connectTo, publishRequest, unpublishRequest } from '../csi/support/kubelet.ts';
import { requireMounts } from '../csi/support/require-mounts.ts';
import { makeTarget, removeRoot } from '../csi/support/scene.ts';
import { openCentre, openScene, serving } from '../proxy/support/agent-scene.ts';
import { host } from '../proxy/support/centre.ts';
import { nodeExtra } from '../proxy/support/reviews.ts';

const main = join(import.meta.dirname, '../../cli/main.ts');
const attributes = { connectors: 'demo/harbor', 'configuration.names': 'docker-config' };

async function callSocket(socketPath: string, path: string): Promise<string> {
  const [answer] = (await once(get({ socketPath, path }), 'response')) as [IncomingMessage];
  return await text(answer);
}

async function arrange() {
  const scene = await openScene({});
  scene.cluster.apply([connectorOf()]);
  const centre = await openCentre(scene);
  const kubeletRoot = await realpath(await mkdtemp(join(tmpdir(), 'csi-')));
  onTestFinished(() => removeRoot(kubeletRoot));
  const files = { token: join(kubeletRoot, 'token'), centreCa: join(kubeletRoot, 'ca.crt') };
  await writeFile(files.token, scene.cluster.driverToken('n1'));
  await writeFile(files.centreCa, (await serving).ca);
  const management = join(kubeletRoot, 'm.sock');
  const centreUrl = `https://${host}:${centre.port}`;
  const settings = (given: object = {}) =>
    readCsiSettings(
      { ...csiDefaults, ...files, kubeletRoot, management, centre: centreUrl, nodeName: 'n1', ...given },
      {},
      false,
    );
  const podToken = scene.cluster.api.login({
    username: 'system:serviceaccount:demo:builder',
    extra: nodeExtra('n1'),
  });
  const registration = join(kubeletRoot, 'plugins_registry/connectors-csi-reg.sock');
  const call = async (socket: string, method: string, request: object) => {
    const client = connectTo(socket);
    try {
      return await client.call(method, request);
    } finally {
      client.close();
    }
  };
  return { scene, centre, kubeletRoot, files, management, centreUrl, settings, podToken, registration, call };
}

requireMounts()('the driver of a node', () => {
  test('mounts what the centre renders for the pod, and says what it did', async () => {
    const { settings, podToken, registration, management, kubeletRoot, call, centre } = await arrange();
    const lines: string[] = [];
    const log = createLogger({ level: 'info', isPretty: false }, { write: (line) => void lines.push(line) });
    const driver = await startCsi(settings(), log);
    onTestFinished(() => driver.close());
    const told: string[] = [];
    expect(await probe(management, '/readyz', (text) => told.push(text))).toBe(1);
    expect(told).toEqual(['the kubelet has not registered this driver yet\n']);
    await call(registration, 'NotifyRegistrationStatus', { plugin_registered: true });
    expect(await probe(management, '/readyz', () => {})).toBe(0);

    const path = await makeTarget(kubeletRoot, 'a');
    const publish = (options: object) => call(driver.endpoint, 'NodePublishVolume', publishRequest(path, options));
    expect(await publish({ token: podToken, attributes })).toMatchObject({ code: 'OK', message: '' });
    expect(await publish({ token: podToken, attributes })).toMatchObject({ code: 'OK' });
    expect(centre.rendered).toHaveLength(1);
    expect(await readFile(join(path, 'context.token'), 'utf8')).toBe(podToken);
    const config = JSON.parse(await readFile(join(path, 'config.json'), 'utf8'));
    expect(Object.keys(config.auths)).toEqual(['c-harbor.demo.svc.cluster.local']);
    expect(await publish({ token: 'nobody', attributes })).toMatchObject({
      code: 'ABORTED',
      message: expect.stringMatching(/^UNAUTHENTICATED: /),
    });

    const metrics = await callSocket(management, '/metrics');
    expect(metrics).toMatch(/^oci_connector_csi_publishes_total\{result="mounted"\} 1$/m);
    expect(metrics).toMatch(/^oci_connector_csi_publishes_total\{result="fresh"\} 1$/m);
    expect(metrics).toMatch(/^oci_connector_csi_publishes_total\{result="UNAUTHENTICATED"\} 1$/m);
    expect(metrics).toMatch(/^oci_connector_csi_asks_total\{question="render",result="ok"\} 1$/m);
    expect(metrics).toMatch(/^oci_connector_csi_asks_total\{question="render",result="CALLER_UNKNOWN"\} 1$/m);
    expect(metrics).toMatch(/^oci_connector_csi_volumes 1$/m);

    expect(await call(driver.endpoint, 'NodeUnpublishVolume', unpublishRequest(path))).toMatchObject({ code: 'OK' });
    await expect(stat(path)).rejects.toThrow('ENOENT');
    expect(lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg.startsWith('volume'))).toMatchObject([
      {
        level: 'info',
        msg: 'volume mounted',
        pod: 'team/app',
        connectors: ['demo/harbor'],
        configurations: ['docker-config'],
      },
      { level: 'warn', msg: 'volume refused', pod: 'team/app', connectors: 'demo/harbor', code: 'UNAUTHENTICATED' },
      { level: 'info', msg: 'volume gone', target: path },
    ]);
    expect(lines.join('')).not.toContain(podToken);
  });

  test('ends when it is told to, and leaves volumes to the pods', async () => {
    const { files, centreUrl, podToken, management, kubeletRoot, call } = await arrange();
    const start = async () => {
      const args = ['--kubelet-root', kubeletRoot, '--centre', centreUrl, '--management', management];
      const child = spawn(
        process.execPath,
        [main, 'csi', ...args, '--centre-ca', files.centreCa, '--token', files.token],
        {
          env: { PATH: process.env['PATH'] ?? '', NODE_NAME: 'n1' },
        },
      );
      onTestFinished(() => void child.kill('SIGKILL'));
      const endpoint = join(kubeletRoot, 'plugins/connectors-csi/csi.sock');
      await expect.poll(() => stat(endpoint).catch(() => undefined)).toBeDefined();
      return { child, endpoint };
    };
    const path = await makeTarget(kubeletRoot, 'a');
    const first = await start();
    const publish = () =>
      call(first.endpoint, 'NodePublishVolume', publishRequest(path, { token: podToken, attributes }));
    expect(await publish()).toMatchObject({ code: 'OK', message: '' });
    first.child.kill('SIGTERM');
    expect(await once(first.child, 'exit')).toEqual([0, null]);
    await expect(stat(first.endpoint)).rejects.toThrow('ENOENT');
    expect(await readFile(join(path, 'context.token'), 'utf8')).toBe(podToken);
    await start();
    expect(await publish()).toMatchObject({ code: 'OK' });
  });

  test('does not start without the files that it needs, and says which', async () => {
    const { settings } = await arrange();
    const log = createLogger({ level: 'silent', isPretty: false }, { write: () => {} });
    await expect(startCsi(settings({ token: '/nowhere' }), log)).rejects.toThrow(
      '--token /nowhere cannot be read (ENOENT)',
    );
  });
});
