import { access } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { Agent } from 'undici';
import { parseJsonObject } from '../../platform/json.ts';
import { misconfigured, OracleError } from './errors.ts';
import { readFileOf } from './file.ts';
import { inStep } from './in-step.ts';
import { refusal } from './refusal.ts';
import { type Reply, send } from './send.ts';
import { bodyOfPem, makeSessionKey, type Principal, type Session, tokenSession } from './session.ts';
import type { Surroundings } from './surroundings.ts';

const folder = '/var/run/secrets/kubernetes.io/serviceaccount';
const defaultPort = '12250';

/**
 * A pod of an OKE cluster (enhanced, with workload identity): its service account token is exchanged for a session
 * token at the proxymux, beside the API server.
 *
 * This federation is our own. The SDK's hands the cluster's CA to `fetch` as an `agent`, which Node's own `fetch` does
 * not know: every call ends with an unknown CA (seen with 2.139.1 on Node 26). It also reads the service account token
 * once, though the kubelet replaces it every hour, and it waits without bound.
 */
export const workloadPrincipal = (surroundings: Surroundings): Principal => {
  const { settings, stepTimeoutMs } = surroundings;
  const { environment } = settings;
  const tokenPath = environment['OCI_KUBERNETES_SERVICE_ACCOUNT_TOKEN_PATH'] || `${folder}/token`;
  const caPath = environment['OCI_KUBERNETES_SERVICE_ACCOUNT_CERT_PATH'] || `${folder}/ca.crt`;

  return {
    kind: 'workload',
    absence: async () => {
      if (!environment['KUBERNETES_SERVICE_HOST']) return 'KUBERNETES_SERVICE_HOST is not set: this is no pod';
      if (!environment['KUBERNETES_SERVICE_PORT_PROXYMUX']) {
        return 'KUBERNETES_SERVICE_PORT_PROXYMUX is not set: the cluster has no workload identity';
      }
      return access(tokenPath).then(
        () => undefined,
        () => `there is no service account token at ${tokenPath}`,
      );
    },
    openSession: (signal) => {
      const url = proxymux(environment);
      const step = { step: 'federation', whom: `the proxymux at ${url.host}`, timeoutMs: stepTimeoutMs } as const;
      return inStep(step, signal, async (within) => {
        const account = (await readFileOf('the service account token', tokenPath, within)).trim();
        const ca = await readFileOf("the cluster's CA", caPath, within);
        return exchange({ url, account, ca, now: surroundings.now }, within);
      });
    },
  };
};

function proxymux(environment: Readonly<Record<string, string | undefined>>): URL {
  const host = environment['KUBERNETES_SERVICE_HOST'];
  const port = environment['KUBERNETES_SERVICE_PORT_PROXYMUX'] || defaultPort;
  if (!host) {
    throw misconfigured('KUBERNETES_SERVICE_HOST is not set: this is no pod');
  }
  const text = `https://${isIPv6(host) ? `[${host}]` : host}:${port}/resourcePrincipalSessionTokens`;
  if (!URL.canParse(text)) {
    throw misconfigured('KUBERNETES_SERVICE_HOST and its port are no address');
  }
  return new URL(text);
}

interface Exchange {
  readonly url: URL;
  readonly account: string;
  readonly ca: string;
  readonly now: () => number;
}

async function exchange({ url, account, ca, now }: Exchange, signal: AbortSignal): Promise<Session> {
  const { publicKey, privateKey } = await makeSessionKey();
  const headers = { authorization: `Bearer ${account}`, 'content-type': 'application/json', accept: '*/*' };
  const question = { method: 'POST', url, headers, body: JSON.stringify({ podKey: bodyOfPem(publicKey) }) };
  const agent = new Agent({ connect: { ca } });
  try {
    const reply = await send(agent, 'federation', question, signal);
    return readSession(reply, { url, privateKey, now });
  } finally {
    void agent.destroy();
  }
}

/** The answer is base64 of `{"token":"ST$…"}`. */
function readSession(
  reply: Reply,
  { url, privateKey, now }: { url: URL; privateKey: string; now: () => number },
): Session {
  const whom = `the proxymux at ${url.host}`;
  if (reply.status !== 200) {
    const advice = {
      401: 'it does not accept the service account token',
      403: 'workload identity needs an enhanced OKE cluster',
    };
    throw refusal(reply, { step: 'federation', whom, now, advice });
  }
  const text = Buffer.from(reply.text.trim().replace(/^"|"$/g, ''), 'base64').toString('utf8');
  const { token } = parseJsonObject(text) ?? {};
  const session = typeof token === 'string' ? tokenSession(token, privateKey) : undefined;
  if (session === undefined) {
    throw new OracleError('federation', 'Protocol', `${whom} answered 200 without a session token`);
  }
  return session;
}
