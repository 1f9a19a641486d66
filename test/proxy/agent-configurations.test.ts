import { describe, expect, test } from 'vitest';
import type { ConfigurationQuestion } from '../../connectors/configurations/protocol.ts';
import type { Configuration, Document } from '../../connectors/schema.ts';
import { agentAudience } from '../../proxy/agent-protocol.ts';
import { classOf, connectorOf } from '../connectors/documents.ts';
import { call } from '../support/call.ts';
import { openCentre, openScene, serving } from './support/agent-scene.ts';
import { host } from './support/centre.ts';
import { nodeExtra } from './support/reviews.ts';

const key = { namespace: 'demo', name: 'harbor' };
const account = 'system:serviceaccount:demo:builder';
const wanted = { connectors: [key], names: ['docker-config'], excluded: [], params: {} };

async function arrange(documents: readonly Document[] = [connectorOf()], { hasDriver = true } = {}) {
  const scene = await openScene({});
  scene.cluster.apply(documents);
  const centre = await openCentre(scene, { hasDriver });
  const { ca } = await serving;
  const { api } = scene.cluster;
  const driver = scene.cluster.driverToken('n1');
  const token = api.login({ username: account, extra: nodeExtra('n1') });
  const post = async (path: string, question: object, as = driver) => {
    const body = JSON.stringify(question);
    const headers = {
      authorization: `Bearer ${as}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const answer = await call(`https://${host}:${centre.port}${path}`, { ca, method: 'POST', headers, body });
    return { status: answer.status, body: JSON.parse(answer.body.toString()) };
  };
  const ask = (question: Partial<ConfigurationQuestion> = {}, as?: string) =>
    post('/v1/configurations', { token, want: wanted, isRefresh: false, ...question }, as);
  const revisions = async (...wants: object[]) =>
    (await post('/v1/configurations/revisions', { wants })).body.revisions;
  return { ...scene, centre, api, driver, token, post, ask, revisions };
}

const statusOf = (status: 'True' | 'False' | 'Unknown', message = '') => ({
  conditions: [{ type: 'Ready', status, reason: 'AuthFailed', message }],
});

describe('a volume', () => {
  test('is rendered for whoever its token is of, and says until when it is good', async () => {
    const { ask, token, centre } = await arrange();
    const before = Date.now();
    const { status, body } = await ask();
    expect(status).toBe(200);
    const { exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    expect(body.expiresAt).toBe(exp * 1000);
    expect(body.refreshAfter).toBeGreaterThan(before + 0.79 * 3_600_000);
    expect(body.refreshAfter).toBeLessThan(body.expiresAt);
    const files = new Map<string, string>(
      body.files.map((file: { name: string; content: string }) => [file.name, file.content]),
    );
    expect(files.get('context.token')).toBe(token);
    expect(Object.keys(JSON.parse(files.get('config.json') ?? '').auths)).toEqual(['c-harbor.demo.svc.cluster.local']);
    expect(centre.rendered).toEqual([
      {
        caller: account,
        node: 'n1',
        connectors: ['demo/harbor'],
        configurations: ['docker-config'],
        isRefresh: false,
        faults: [],
      },
    ]);
  });

  test('holds nothing of the Secret', async () => {
    const { ask, cluster } = await arrange();
    expect(cluster.store.catalogue.connectors).toHaveLength(1);
    expect(JSON.stringify((await ask()).body)).not.toMatch(/secret|password/i);
  });

  test('of several connectors is for whoever may use them all', async () => {
    const { ask, api } = await arrange([connectorOf(), connectorOf({}, { name: 'other' })]);
    const want = { ...wanted, connectors: [key, { namespace: 'demo', name: 'other' }] };
    expect((await ask({ want })).status).toBe(200);
    api.rights = new Set([`${account} get demo/harbor`]);
    const fresh = api.login({ username: account, uid: 'u2', extra: nodeExtra('n1') });
    expect((await ask({ want, token: fresh })).body).toMatchObject({
      code: 'ACCESS_DENIED',
      message: expect.stringContaining('connector demo/other: '),
    });
  });
});

describe('is refused', () => {
  test('who may not use the connector, whether or not it is there', async () => {
    const { ask, api, centre } = await arrange();
    api.rights = new Set();
    const strange = { ...wanted, connectors: [{ namespace: 'demo', name: 'absent' }] };
    for (const want of [wanted, strange]) {
      expect(await ask({ want })).toMatchObject({
        status: 403,
        body: { code: 'ACCESS_DENIED', message: expect.stringContaining(`${account} may not pull`) },
      });
    }
    expect(centre.rendered).toEqual([]);
  });

  const tokens: [string, (api: Awaited<ReturnType<typeof arrange>>['api']) => string][] = [
    ['nobody’s', () => 'garbage'],
    ['for another audience', (api) => api.login({ username: account }, { audiences: ['https://kubernetes'] })],
    ['of a pod on another node', (api) => api.login({ username: account, extra: nodeExtra('n2') })],
    ['expired', (api) => api.login({ username: account }, { expiresAt: Date.now() - 1000 })],
  ];
  test.each(tokens)('a token that is %s', async (_what, make) => {
    const { ask, api } = await arrange();
    expect(await ask({ token: make(api) })).toMatchObject({ status: 401, body: { code: 'CALLER_UNKNOWN' } });
  });

  test('a connector that is not there', async () => {
    const { ask } = await arrange([]);
    expect((await ask()).body).toMatchObject({
      code: 'CONNECTOR_UNKNOWN',
      message: expect.stringContaining('demo/harbor'),
    });
  });

  test('a connector that is not Ready, with the reason, but not for fresh files of a pod that runs', async () => {
    const { ask } = await arrange([{ ...connectorOf(), status: statusOf('False', 'the password is wrong') }]);
    expect((await ask()).body).toMatchObject({
      code: 'CONNECTOR_NOT_READY',
      message: 'connector demo/harbor: is not Ready (AuthFailed: the password is wrong)',
    });
    expect((await ask({ isRefresh: true })).status).toBe(200);
  });

  test('nobody because nobody has looked yet', async () => {
    const { ask } = await arrange([{ ...connectorOf(), status: statusOf('Unknown') }]);
    expect((await ask()).status).toBe(200);
  });

  test('a question that is none', async () => {
    const { post } = await arrange();
    for (const question of [{}, { token: 'x', want: { ...wanted, connectors: [] }, isRefresh: false }, []]) {
      expect(await post('/v1/configurations', question)).toMatchObject({
        status: 400,
        body: { code: 'REQUEST_INVALID' },
      });
    }
  });
});

const other = connectorOf({}, { name: 'other' });
const two = { ...wanted, connectors: [key, { namespace: 'demo', name: 'other' }] };
const hostsOf = (body: { files: { name: string; content: string }[] }) =>
  Object.keys(JSON.parse(body.files.find(({ name }) => name === 'config.json')?.content ?? '').auths);
const harborHost = 'c-harbor.demo.svc.cluster.local';
const otherHost = 'c-other.demo.svc.cluster.local';

describe('a pod that has files goes on', () => {
  type Arranged = Awaited<ReturnType<typeof arrange>>;
  const lost = connectorOf({ connectorClassName: 'absent' }, { name: 'other' });
  const losses: [string, (arranged: Arranged) => void, string][] = [
    ['is gone', ({ cluster }) => cluster.apply([connectorOf()]), 'there is no such connector'],
    ['lost its class', ({ cluster }) => cluster.apply([connectorOf(), lost]), 'ConnectorClassNotFound'],
    [
      'is no longer allowed',
      ({ api, clock }) => {
        api.rights = new Set([`${account} get demo/harbor`]);
        clock.pass(60_000);
      },
      'may not pull',
    ],
  ];
  test.each(losses)(
    'without the one connector of two that %s, and is not asked to come again',
    async (_what, lose, why) => {
      const arranged = await arrange([connectorOf(), other]);
      const { ask, revisions, centre } = arranged;
      expect(hostsOf((await ask({ want: two })).body)).toEqual([harborHost, otherHost]);
      lose(arranged);
      expect((await ask({ want: two })).body).toMatchObject({ message: expect.stringContaining(why) });
      const { status, body } = await ask({ want: two, isRefresh: true });
      expect(status).toBe(200);
      expect(hostsOf(body)).toEqual([harborHost]);
      expect(JSON.stringify(body.files)).not.toContain('other');
      expect(await revisions(two)).toEqual([body.revision]);
      const told = centre.rendered.at(-1);
      expect(told).toMatchObject({ caller: account, connectors: ['demo/harbor'] });
      expect(told?.faults).toEqual([expect.stringMatching(`^left out of files: connector demo/other: .*${why}`)]);
    },
  );

  test('and hears of the connector that is gone, and of the one that is back, by the revision', async () => {
    const { ask, revisions, cluster } = await arrange([connectorOf(), other]);
    const before = (await ask({ want: two })).body.revision;
    cluster.apply([connectorOf()]);
    const [without] = await revisions(two);
    expect(['', before]).not.toContain(without);
    cluster.apply([connectorOf(), other]);
    expect(await revisions(two)).toEqual([before]);
  });

  test('with a connector that cannot be used at present', async () => {
    const unusable = connectorOf({ address: 'ftp://harbor.example.com' });
    const { ask, centre } = await arrange([unusable, other]);
    expect((await ask({ want: two })).body).toMatchObject({ code: 'CONNECTOR_UNUSABLE' });
    expect(hostsOf((await ask({ want: two, isRefresh: true })).body)).toEqual([harborHost, otherHost]);
    expect((await ask({ isRefresh: true })).status).toBe(200);
    expect(centre.rendered.at(-1)).toMatchObject({ caller: account, connectors: ['demo/harbor'], faults: [] });
  });

  test('without a configuration that only the class of a lost connector had', async () => {
    const own = connectorOf({ connectorClassName: 'own' }, { name: 'other' });
    const mine = classOf('own', { configurations: [{ name: 'mine', params: [{ name: 'p' }], data: { f: 'x' } }] });
    const want = { ...two, names: ['docker-config', 'mine'], params: { mine: { p: 'q' } } };
    const { ask, cluster } = await arrange([connectorOf(), own, mine]);
    expect((await ask({ want })).status).toBe(200);
    cluster.apply([connectorOf(), mine]);
    const { body } = await ask({ want, isRefresh: true });
    expect(hostsOf(body)).toEqual([harborHost]);
    expect(body.files.map(({ name }: { name: string }) => name)).not.toContain('f');
  });

  test('but not where no connector is left', async () => {
    const { ask, revisions } = await arrange([]);
    expect((await ask({ want: two, isRefresh: true })).body).toMatchObject({
      code: 'CONNECTOR_UNKNOWN',
      message: expect.stringContaining('demo/harbor'),
    });
    expect(await revisions(two)).toEqual(['']);
  });

  test('but not where none is allowed any more', async () => {
    const { ask, api, centre } = await arrange([connectorOf(), other]);
    api.rights = new Set();
    for (const want of [wanted, two]) {
      expect(await ask({ want, isRefresh: true })).toMatchObject({ status: 403, body: { code: 'ACCESS_DENIED' } });
    }
    expect(centre.rendered).toEqual([]);
  });

  test('but not where one is gone and the other is not allowed', async () => {
    const { ask, api } = await arrange([connectorOf()]);
    api.rights = new Set([`${account} get demo/other`]);
    expect(await ask({ want: two, isRefresh: true })).toMatchObject({ status: 403, body: { code: 'ACCESS_DENIED' } });
  });

  test('but not with a token that is nobody’s, nor as long as nobody knows whose it is', async () => {
    const { ask, api } = await arrange([connectorOf(), other]);
    const question = { want: two, isRefresh: true };
    expect((await ask({ ...question, token: 'garbage' })).body).toMatchObject({ code: 'CALLER_UNKNOWN' });
    await ask();
    api.state = 'away';
    const fresh = api.login({ username: account, extra: nodeExtra('n1') });
    expect((await ask({ ...question, token: fresh })).body).toMatchObject({ code: 'ACCESS_UNAVAILABLE' });
  });
});

describe('a class that was spoiled', () => {
  const own = connectorOf({ connectorClassName: 'own' });
  const want = { ...wanted, names: ['mine'] };
  const withClass = (...configurations: Configuration[]) => [own, classOf('own', { configurations })];
  const good = withClass({ name: 'mine', data: { f: 'good {{ .context.token }}' } });
  const fileOf = (body: { files: { name: string; content: string }[] }) =>
    body.files.find(({ name }) => name === 'f')?.content;
  const spoiled: [string, Document[], string][] = [
    ['cannot be parsed', withClass({ name: 'mine', data: { f: 'x {{ if }}' } }), 'CONFIGURATION_INVALID'],
    ['fails', withClass({ name: 'mine', data: { f: '{{ index .connectors 7 }}' } }), 'CONFIGURATION_INVALID'],
    ['is too large', withClass({ name: 'mine', data: { f: 'x'.repeat(262_145) } }), 'CONFIGURATION_TOO_LARGE'],
    ['is missing', withClass({ name: 'mien', data: { f: 'x' } }), 'CONFIGURATION_UNKNOWN'],
  ];

  test.each(spoiled)(
    'goes on as it last rendered for pods that run, where its configuration %s',
    async (_what, bad, code) => {
      const { ask, revisions, cluster, centre, api } = await arrange(good);
      expect((await ask({ want })).status).toBe(200);
      cluster.apply(bad);
      // Whoever asks, and however often.
      const token = api.login({ username: account, extra: nodeExtra('n1') });
      for (let round = 0; round < 2; round += 1) {
        const { status, body } = await ask({ want, token, isRefresh: true });
        expect(status).toBe(200);
        expect(fileOf(body)).toBe(`good ${token}`);
        expect(await revisions(want)).toEqual([body.revision]);
        expect(centre.rendered.at(-1)?.faults).toEqual([expect.stringContaining('"mine"')]);
      }
      expect((await ask({ want })).body).toMatchObject({ code });
      cluster.apply(withClass({ name: 'mine', data: { f: 'mended' } }));
      const mended = (await ask({ want, isRefresh: true })).body;
      expect(fileOf(mended)).toBe('mended');
      expect(centre.rendered.at(-1)?.faults).toEqual([]);
      expect(await revisions(want)).toEqual([mended.revision]);
      cluster.apply(bad);
      expect(fileOf((await ask({ want, isRefresh: true })).body)).toBe('mended');
    },
  );

  test.each(spoiled)(
    'is refused with its fault where its configuration never rendered here and %s',
    async (_what, bad, code) => {
      const { ask } = await arrange(bad);
      expect((await ask({ want, isRefresh: true })).body).toMatchObject({ code });
    },
  );
});

test('tokens of volumes are remembered apart from those of callers, whom they would push out', async () => {
  const { ask, token, api, cluster, post } = await arrange();
  const reviewed = () => api.reviewsOf('TokenReview').filter(({ spec }) => spec.token === token).length;
  await ask();
  await ask({ isRefresh: true });
  expect(reviewed()).toBe(1);
  await post('/v1/callers', { token }, cluster.agentToken('n1'));
  expect(reviewed()).toBe(2);
});

describe('the CSI driver and the agent of a node', () => {
  const others = [
    '/v1/grants',
    '/v1/callers',
    '/v1/agents/self',
    '/v1/relay/v2/namespaces/demo/connectors/harbor/a/manifests/b',
  ];

  test.each(others)('are not the same: the driver gets nothing at %s', async (path) => {
    const { post, token } = await arrange();
    const question = { token, connector: key, repository: 'team/app' };
    expect(await post(path, question)).toMatchObject({ status: 404 });
  });

  test('are not the same: the agent gets no files', async () => {
    const { ask, cluster, post } = await arrange();
    expect((await ask({}, cluster.agentToken('n1'))).status).toBe(404);
    expect((await post('/v1/configurations/revisions', { wants: [] }, cluster.agentToken('n1'))).status).toBe(404);
  });

  test('are none where no driver is installed, whoever has its name', async () => {
    const { ask } = await arrange([connectorOf()], { hasDriver: false });
    expect(await ask()).toMatchObject({ status: 401, body: { code: 'AGENT_UNKNOWN' } });
  });

  test('have to be known', async () => {
    const { ask, api } = await arrange();
    const stranger = api.login(
      { username: 'system:serviceaccount:demo:oci-connector-csi', extra: nodeExtra('n1') },
      { audiences: [agentAudience] },
    );
    expect(await ask({}, stranger)).toMatchObject({ status: 401, body: { code: 'AGENT_UNKNOWN' } });
  });
});

test('the token of a node’s driver is reviewed every five minutes, whatever it asks', async () => {
  const { revisions, clock, driver, api } = await arrange();
  const reviewed = () => api.reviewsOf('TokenReview').filter(({ spec }) => spec.token === driver).length;
  for (const [passed, count] of [
    [0, 1],
    [150_000, 1],
    [149_000, 1],
    [1_000, 2],
  ] as const) {
    clock.pass(passed);
    await revisions(wanted);
    expect(reviewed()).toBe(count);
  }
});

describe('revisions', () => {
  test('are those of the files, in the order of the question, and cost no review of pods', async () => {
    const { ask, revisions, api } = await arrange([connectorOf(), connectorOf({}, { name: 'other' })]);
    const { body } = await ask();
    const before = api.reviews.length;
    const other = { ...wanted, connectors: [{ namespace: 'demo', name: 'other' }] };
    const absent = { ...wanted, connectors: [{ namespace: 'demo', name: 'absent' }] };
    const answered = await revisions(other, wanted, absent);
    expect(answered).toEqual([expect.any(String), body.revision, '']);
    expect(answered[0]).not.toBe(body.revision);
    expect(api.reviews.length).toBe(before);
  });

  test('change when the connector does', async () => {
    const { ask, revisions, cluster } = await arrange();
    const { body } = await ask();
    cluster.apply([connectorOf({ address: 'https://moved.example.com' })]);
    expect(await revisions(wanted)).not.toEqual([body.revision]);
  });
});
