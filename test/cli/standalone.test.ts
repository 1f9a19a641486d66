import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Folder, makeFolder, type RunningStandalone, run, startStandalone } from '../support/command.ts';
import { delayed } from '../support/faults.ts';
import { type Image, makeImage } from '../support/image.ts';
import { manifestsOf } from '../support/manifests.ts';
import { type Registry, startRegistry } from '../support/registry.ts';

const username = 'robot';
const password = 'canary-of-the-registry-credential';

describe('standalone', () => {
  let registry: Registry;
  let image: Image;
  let folder: Folder;
  let standalone: RunningStandalone;
  const manifestUrl = (): string =>
    `http://${standalone.proxy}/v2/namespaces/demo/connectors/harbor/team/app/manifests/v1`;

  beforeAll(async () => {
    registry = await startRegistry({ auth: { kind: 'token', username, password } });
    image = registry.seed('team/app', makeImage(), ['v1']);
    folder = await makeFolder();
    await folder.write('harbor.yaml', manifestsOf(registry.origin, username, password));
    standalone = await startStandalone(['--manifests', folder.path, '--certs', `${folder.path}/certs`]);
  });

  afterAll(async () => {
    await standalone?.stop();
    await registry?.close();
    await folder?.[Symbol.asyncDispose]();
  });

  const get = async (url: string, headers: Record<string, string> = {}) => {
    const response = await request(url, { headers });
    return { status: response.statusCode, headers: response.headers, body: await response.body.text() };
  };

  const review = async (pod: object) => {
    const dispatcher = new Agent({ connect: { ca: await readFile(standalone.caFile, 'utf8') } });
    const response = await request(`https://${standalone.webhook}/mutate`, {
      method: 'POST',
      dispatcher,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        apiVersion: 'admission.k8s.io/v1',
        kind: 'AdmissionReview',
        request: {
          uid: 'u1',
          operation: 'CREATE',
          resource: { group: '', version: 'v1', resource: 'pods' },
          namespace: 'demo',
          object: pod,
        },
      }),
    });
    const answer = (await response.body.json()) as { response: { uid: string; allowed: boolean; patch: string } };
    await dispatcher.close();
    return { status: response.statusCode, ...answer.response };
  };

  test('rewrites the image of a pod to an address that pulls without a credential', async () => {
    const reference = `${registry.authority}/team/app:v1`;
    const answer = await review({ metadata: {}, spec: { containers: [{ name: 'app', image: reference }] } });
    expect(answer).toMatchObject({ status: 200, uid: 'u1', allowed: true });
    const patch = JSON.parse(Buffer.from(answer.patch, 'base64').toString());
    const rewritten = `${standalone.imageHost}/namespaces/demo/connectors/harbor/team/app:v1`;
    expect(patch).toContainEqual({ op: 'replace', path: '/spec/containers/0/image', value: rewritten });
    const pulled = await get(manifestUrl());
    expect(pulled.status).toBe(200);
    expect(pulled.headers['docker-content-digest']).toBe(image.digest);
  });

  test('serves probes and metrics', async () => {
    expect(await get(`http://${standalone.management}/livez`)).toMatchObject({ status: 200 });
    expect(await get(`http://${standalone.management}/readyz`)).toMatchObject({ status: 200, body: 'ok\n' });
    await get(manifestUrl());
    const { body } = await get(`http://${standalone.management}/metrics`);
    expect(body).toMatch(
      /^oci_connector_proxy_requests_total\{connector="demo\/harbor",endpoint="manifests",action="pull",status="200"\} \d+$/m,
    );
    expect(body).toContain('oci_connector_connectors 1');
  });

  test('writes an audit line for each pull', async () => {
    await get(manifestUrl());
    const line = JSON.parse(await standalone.line(/"audit":true/));
    expect(line).toMatchObject({
      level: 'info',
      caller: 'local',
      connector: 'demo/harbor',
      repository: 'team/app',
      reference: 'v1',
      digest: image.digest,
      status: 200,
    });
    expect(line.bytes).toBeGreaterThan(0);
  });

  test('writes an audit line for what the registry refuses, with what it said', async () => {
    await get(manifestUrl().replace('v1', 'gone'));
    const line = JSON.parse(await standalone.line(/"reference":"gone"/));
    expect(line).toMatchObject({ level: 'info', audit: true, caller: 'local', repository: 'team/app', status: 404 });
    expect(line.reason).toMatch(/^MANIFEST_UNKNOWN/);
    const pushed = await request(manifestUrl().replace('v1', 'broken'), { method: 'PUT', body: 'no manifest' });
    await pushed.body.dump();
    const refused = JSON.parse(await standalone.line(/"reference":"broken"/));
    expect(refused).toMatchObject({ level: 'info', audit: true, action: 'push', status: pushed.statusCode });
    expect(refused.reason).toMatch(/^MANIFEST_INVALID/);
  });

  test.each<[string, Record<string, string>, number]>([
    ['localhost:7450', {}, 200],
    ['127.0.0.9', {}, 200],
    ['[::1]:7450', {}, 200],
    ['attacker.example.com:7450', {}, 421],
    ['localhost:7450', { origin: 'https://attacker.example.com' }, 421],
    ['localhost:7450', { origin: 'null' }, 421],
  ])('a web page cannot use it: %s %j is answered with %i', async (host, headers, status) => {
    const answer = await get(manifestUrl(), { host, ...headers });
    expect(answer.status).toBe(status);
    if (status === 421) expect(JSON.parse(answer.body).errors[0].detail.reason).toBe('HOST_MISDIRECTED');
    const begun = await request(manifestUrl().replace(/manifests.*/, 'blobs/uploads/'), {
      method: 'POST',
      headers: { host, ...headers },
    });
    await begun.body.dump();
    expect(begun.statusCode).toBe(status === 200 ? 202 : status);
  });

  test('goes on with the last good version of a file that goes bad, and says where it is bad', async () => {
    const good = manifestsOf(registry.origin, username, password);
    await folder.write('harbor.yaml', good.replace('address:', 'adress:'));
    expect(await standalone.line(/unknown field/)).toContain('harbor.yaml:12: spec.adress: unknown field');
    expect(await get(manifestUrl())).toMatchObject({ status: 200 });
    const { body } = await get(`http://${standalone.management}/metrics`);
    expect(body).toMatch(/^oci_connector_manifest_problems [1-9]/m);
    await folder.write('harbor.yaml', good);
  });

  test('uses a rotated credential without a restart', async () => {
    registry.setCredential(username, 'another-canary-credential');
    registry.revokeTokens();
    expect(await get(manifestUrl())).toMatchObject({ status: 403 });
    await folder.write('harbor.yaml', manifestsOf(registry.origin, username, 'another-canary-credential'));
    await expect.poll(async () => (await get(manifestUrl())).status, { timeout: 10_000, interval: 100 }).toBe(200);
  });

  test('keeps keys and certificates to itself', async () => {
    for (const name of ['ca.pem', 'ca.crt', 'tls.crt', 'tls.key']) {
      expect((await stat(`${folder.path}/certs/${name}`)).mode & 0o777, name).toBe(0o600);
    }
  });

  test('never writes a credential into its log', () => {
    expect(standalone.lines.length).toBeGreaterThan(3);
    for (const line of standalone.lines) {
      expect(line).not.toMatch(/canary|Bearer [A-Za-z0-9]/);
      expect(() => JSON.parse(line)).not.toThrow();
    }
  });

  test('lets a pull under way end when it is told to stop, and exits with 0', async () => {
    registry.faults.add({ match: { path: /manifests\/v1/, isAuthorized: true }, times: 1, fault: delayed(700) });
    const pulled = get(manifestUrl(), { accept: 'application/x-last, */*' });
    await registry.arrival(({ headers }) => headers.accept?.includes('x-last') === true);
    const stopped = standalone.stop();
    expect(await pulled).toMatchObject({ status: 200 });
    expect(await stopped).toBe(0);
  });

  test('names an address that is taken, and exits with 1', async () => {
    const blocker = createServer().listen(0, '127.0.0.1');
    await once(blocker, 'listening');
    const { port } = blocker.address() as { port: number };
    const others = ['--webhook', '127.0.0.1:0', '--management', '127.0.0.1:0', '--certs', `${folder.path}/certs`];
    const ended = await run(['standalone', '--manifests', folder.path, '--proxy', `127.0.0.1:${port}`, ...others]);
    blocker.close();
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain(`cannot listen on 127.0.0.1:${port}: EADDRINUSE`);
  });
});

describe('standalone that is told to end', () => {
  const halfRequest = 'GET /livez HTTP/1.1\r\nHost: x\r\n';
  const open = async (address: string): Promise<Socket> => {
    const [host, port] = address.split(':');
    const socket = connect({ host, port: Number(port) }).on('error', () => {});
    await once(socket, 'connect');
    return socket;
  };

  test.each<[string, (standalone: RunningStandalone) => Promise<Socket>]>([
    ['half a request at the management', async ({ management }) => writeTo(await open(management), halfRequest)],
    ['half a request at the proxy', async ({ proxy }) => writeTo(await open(proxy), halfRequest)],
    ['a connection to the webhook without TLS', ({ webhook }) => open(webhook)],
    [
      'a body at the webhook that does not come',
      async ({ webhook, caFile }) => {
        const socket = connectTls({
          socket: await open(webhook),
          ca: await readFile(caFile, 'utf8'),
          host: '127.0.0.1',
        });
        await once(
          socket.on('error', () => {}),
          'secureConnect',
        );
        const head =
          'POST /mutate HTTP/1.1\r\nHost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{';
        return writeTo(socket, head);
      },
    ],
  ])('does not wait longer than it was allowed to for %s', async (_name, occupy) => {
    await using folder = await makeFolder();
    const certs = ['--certs', `${folder.path}/certs`];
    await using standalone = await startStandalone(['--manifests', folder.path, ...certs, '--drain-seconds', '0.5']);
    const socket = await occupy(standalone);
    // Without the bound it would be minutes, and the test would time out.
    expect(await standalone.stop()).toBe(0);
    socket.destroy();
  });

  const writeTo = (socket: Socket, text: string): Socket => {
    socket.write(text);
    return socket;
  };
});

describe('standalone with a proxy elsewhere than on localhost', () => {
  test('names that address in images', async () => {
    await using folder = await makeFolder();
    const certs = ['--certs', `${folder.path}/certs`];
    await using standalone = await startStandalone(['--manifests', folder.path, ...certs, '--proxy', '127.0.0.2:0']);
    expect(standalone.imageHost).toBe(standalone.proxy);
  });
});

describe('standalone with a file of callers', () => {
  test('asks for a token, and serves each caller what it may use', async () => {
    await using registry = await startRegistry({ auth: { kind: 'token', username, password } });
    registry.seed('team/app', makeImage(), ['v1']);
    await using folder = await makeFolder();
    await folder.write('harbor.yaml', manifestsOf(registry.origin, username, password));
    const callers = await folder.write(
      'callers',
      'callers:\n- {name: ci, token: canary-of-the-caller-1, connectors: [demo/harbor]}\n- {name: other, token: canary-of-the-caller-2, connectors: [demo/else]}\n',
    );
    await using standalone = await startStandalone([
      '--manifests',
      folder.path,
      '--certs',
      `${folder.path}/certs`,
      '--callers',
      callers,
    ]);
    const pullAs = async (token?: string) => {
      const headers: Record<string, string> =
        token === undefined ? {} : { authorization: `Basic ${Buffer.from(`any:${token}`).toString('base64')}` };
      // Who sends a token is no stranger's web page, whatever the proxy is called.
      headers['host'] = 'registry.example.com';
      const response = await request(
        `http://${standalone.proxy}/v2/namespaces/demo/connectors/harbor/team/app/manifests/v1`,
        { headers },
      );
      await response.body.dump();
      return [response.statusCode, response.headers['www-authenticate']];
    };
    expect(await pullAs('canary-of-the-caller-1')).toEqual([200, undefined]);
    expect(await pullAs('canary-of-the-caller-2')).toEqual([403, undefined]);
    expect(await pullAs('canary-of-nobody')).toEqual([401, 'Basic realm="oci-connector"']);
    expect(await pullAs()).toEqual([401, 'Basic realm="oci-connector"']);
    expect(await standalone.stop()).toBe(0);
    expect(standalone.lines.join('\n')).not.toContain('canary');
    for (const { headers } of registry.requests) expect(headers.authorization ?? '').not.toContain('canary');
  });
});
