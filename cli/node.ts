import { setTimeout as delay } from 'node:timers/promises';
import { RegistryTransports } from '../credentials/registry-transports.ts';
import type { Logger } from '../platform/logger.ts';
import { createMetrics } from '../platform/metrics.ts';
import { CentralAccess } from '../proxy/central-access.ts';
import { buildProxy, type ProxyOptions } from '../proxy/listener.ts';
import { selfTest } from '../proxy/self-test.ts';
import { UpstreamLimits } from '../proxy/upstream-limits.ts';
import { openCentre } from './centre-client.ts';
import { formatListenAddress, listen } from './listen-address.ts';
// Not ./https-listeners.ts: with the webhook it brings a framework, and that would be a third of an agent's memory.
import { type Listening, startManagement } from './management-listener.ts';
import type { NodeSettings } from './node-settings.ts';
import { observeProxy } from './observe.ts';

/** Until it has passed, the self-test is made this often. */
const selfTestMs = 1_000;
const loopbacks = ['127.0.0.1', '::1'] as const;
/** A machine without IPv6 has no ::1, and its `localhost` does not lead there. */
const noAddress: ReadonlySet<string> = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT']);

/** A running agent of a node. */
export interface NodeAgent {
  /** Where it listens. */
  readonly addresses: readonly string[];
  /** Ends without cutting a pull that ends within the grace period. */
  close(): Promise<void>;
}

/**
 * Starts the agent: the proxy on loopback, with access and grants from the centre. It is ready once the centre knows it
 * and the address that the webhook writes into images leads to it.
 * @throws Error with a message for people: a file that cannot be read, a port that is taken
 */
export async function startNode(settings: NodeSettings, log: Logger): Promise<NodeAgent> {
  await using parts = new AsyncDisposableStack();
  const metrics = createMetrics();
  const notReady = new Set(['starting']);
  const ending = new AbortController();
  const access = new CentralAccess({ client: await openCentre(settings, log, parts) });
  const transports = new RegistryTransports({
    proxies: settings.proxies,
    isLoopbackForbidden: !settings.allowLoopback,
  });
  parts.defer(() => transports.close());
  const management = await startManagement({ metrics, notReady: () => [...notReady] }, settings.management, parts);
  // Two listeners, and one registry behind each connector.
  const limits = new UpstreamLimits();
  const options = { access, transports, limits, observe: observeProxy(log, metrics) };
  const listeners = await startListeners(settings.port, options, log, parts);
  const addresses = listeners.map(({ address }) => formatListenAddress(address));
  log.info({ addresses, centre: settings.centre }, 'listening');
  const testing = becomeReady(access, settings.port, notReady, log, ending.signal);
  const started = parts.move();
  return {
    addresses,
    close: async () => {
      ending.abort();
      notReady.add('draining');
      await testing;
      log.info({ graceMs: settings.drainMs }, 'draining');
      await Promise.all(listeners.map(({ drain }) => drain(settings.drainMs)));
      await management.drain(0);
      await started.disposeAsync();
    },
  };
}

/** An agent that ends and the one that follows share the port, so that there is no moment without a listener. */
async function startListeners(
  port: number,
  options: ProxyOptions,
  log: Logger,
  parts: AsyncDisposableStack,
): Promise<readonly Listening[]> {
  const listening: Listening[] = [];
  for (const host of loopbacks) {
    const proxy = buildProxy(options);
    try {
      const address = await listen(proxy.server, { host, port }, { reusePort: true });
      listening.push({ address, drain: proxy.drain });
      parts.defer(() => proxy.drain(0));
    } catch (error) {
      if (listening.length === 0 || !noAddress.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
      log.warn({ host }, 'this machine has no such address');
    }
  }
  return listening;
}

async function becomeReady(
  access: CentralAccess,
  port: number,
  notReady: Set<string>,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  for (let reported = ''; !signal.aborted; ) {
    const problem = await whatIsWrong(access, port, signal);
    notReady.clear();
    if (problem === undefined) return log.info('ready');
    notReady.add(problem);
    if (problem !== reported && !signal.aborted) log.warn({ problem }, 'not ready yet');
    reported = problem;
    await delay(selfTestMs, undefined, { signal }).catch(() => {});
  }
}

async function whatIsWrong(access: CentralAccess, port: number, signal: AbortSignal): Promise<string | undefined> {
  try {
    const { imageHost } = await access.self(signal);
    if (!imageHost.endsWith(`:${port}`)) {
      return `the webhook points images to ${imageHost}, and this agent listens on port ${port}: set the same port for both`;
    }
    return await selfTest(imageHost);
  } catch (error) {
    return `the centre does not answer: ${reasonOf(error)}`;
  }
}

/** With what is behind it: a name that is not known, a certificate that is not trusted. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
