import { onTestFinished } from 'vitest';
import type { Document } from '../../../connectors/schema.ts';
import { type CallOptions, call } from '../../support/call.ts';
import { type Image, makeImage } from '../../support/image.ts';
import { type ConnectorOptions, connectorTo } from '../../support/proxy.ts';
import {
  type BasicAuth,
  type Registry,
  type RegistryAuth,
  type RegistryOptions,
  startRegistry,
  type TokenAuth,
} from '../../support/registry.ts';
import { type Cluster, makeClock, makeCluster, makeServing, startAgent, startCentre } from './centre.ts';

export const login = { username: 'robot', password: 'Password+Canary/7f=3a%b"c\\d' };
/** Tokens that say what they are for, and may leave the centre. */
export const narrow: TokenAuth = { kind: 'token', ...login, jwt: true, expiresInSeconds: 300 };
export const opaque: TokenAuth = { kind: 'token', ...login, expiresInSeconds: 300 };
export const basicOnly: BasicAuth = { kind: 'basic', ...login };
/** Tokens for everything. */
export const wide: TokenAuth = {
  ...narrow,
  grantAccess: () => [
    { type: 'repository', name: 'team/app', actions: ['pull', 'push'] },
    { type: 'repository', name: 'team/other', actions: ['pull'] },
  ],
};

export const serving = makeServing();

export interface SceneOptions {
  readonly auth?: RegistryAuth;
  readonly registry?: RegistryOptions;
  readonly connector?: ConnectorOptions;
}

export interface Scene {
  readonly registry: Registry;
  readonly image: Image;
  readonly cluster: Cluster;
  readonly clock: ReturnType<typeof makeClock>;
  readonly documents: Document[];
  /** Of a service account in namespace demo. */
  readonly token: string;
}

/** A registry with an image, a connector to it, and a caller; what is opened closes with the test. */
export async function openScene({ auth = narrow, registry: more, connector }: SceneOptions = {}): Promise<Scene> {
  const clock = makeClock();
  const sleep = () => Promise.resolve();
  const registry = await startRegistry({ auth, clock: { now: clock.now, sleep }, ...more });
  onTestFinished(() => registry.close());
  const image = registry.seed('team/app', makeImage(), ['v1']);
  const documents = connectorTo(registry.origin, { ...login, ...connector });
  const cluster = makeCluster(documents);
  const token = cluster.api.login({ username: 'system:serviceaccount:demo:default' });
  return { registry, image, cluster, clock, documents, token };
}

/** A replica of the centre of a scene. */
export async function openCentre({ cluster, clock }: Scene, { hasDriver = true } = {}) {
  const centre = await startCentre({ cluster, serving: await serving, now: clock.now, hasDriver });
  onTestFinished(() => centre.close());
  return centre;
}

/** An agent that reaches the centre at `port`; it is on node n1. */
export async function openAgent(scene: Scene, port: number, more: Partial<Parameters<typeof startAgent>[0]> = {}) {
  const { ca } = await serving;
  const own = scene.cluster.agentToken('n1');
  const agent = await startAgent({ port, ca, token: own, now: scene.clock.now, ...more });
  onTestFinished(() => agent.close());
  return agent;
}

export async function openBoth(options: SceneOptions = {}) {
  const scene = await openScene(options);
  const centre = await openCentre(scene);
  const agent = await openAgent(scene, centre.port);
  const pull = (tail: string, more: CallOptions = {}) =>
    call(agent.url(tail), { ...more, headers: { authorization: `Bearer ${scene.token}`, ...more.headers } });
  return { ...scene, centre, agent, pull };
}

export const relayed = (requests: readonly string[]) => requests.filter((line) => line.includes('/v1/relay/'));
export const asked = (requests: readonly string[]) => requests.filter((line) => line === 'POST /v1/grants');
export const reasonOf = (body: Buffer) => JSON.parse(body.toString()).errors[0].detail.reason;
