import { expect, test } from 'vitest';
import { observeCentre, observeProxy } from '../../cli/observe.ts';
import { buildCatalogue } from '../../connectors/catalogue.ts';
import { createLogger } from '../../platform/logger.ts';
import { createMetrics } from '../../platform/metrics.ts';
import type { Operation } from '../../proxy/operation.ts';
import { connectorOf } from '../connectors/documents.ts';

const connector = (name: string, status?: string) => ({
  ...connectorOf({}, { name }),
  status: status === undefined ? {} : { conditions: [{ type: 'Ready', status, reason: 'R', message: 'm' }] },
});

test('the figures of a centre are those of the moment when they are asked for', async () => {
  const metrics = createMetrics();
  const store = { catalogue: buildCatalogue([]) };
  const election = { isLeader: false };
  observeCentre(metrics, store, election);
  const lines = async () =>
    (await metrics.registry.metrics())
      .split('\n')
      .filter((line) => /^oci_connector_(connectors_by_readiness|leader)\b/.test(line))
      .map((line) => line.replace('oci_connector_', ''))
      .sort();
  const figures = (yes: number, no: number, unknown: number, leader: number) => [
    `connectors_by_readiness{ready="false"} ${no}`,
    `connectors_by_readiness{ready="true"} ${yes}`,
    `connectors_by_readiness{ready="unknown"} ${unknown}`,
    `leader ${leader}`,
  ];
  expect(await lines()).toEqual(figures(0, 0, 0, 0));
  const states = { a: 'True', b: 'True', c: 'True', d: 'False', e: 'Unknown', f: undefined };
  store.catalogue = buildCatalogue(Object.entries(states).map(([name, status]) => connector(name, status)));
  election.isLeader = true;
  expect(await lines()).toEqual(figures(3, 1, 2, 1));
  store.catalogue = buildCatalogue([connector('d', 'True')]);
  election.isLeader = false;
  expect(await lines()).toEqual(figures(1, 0, 0, 0));
});

test.each<[Partial<Operation>, string]>([
  [{ endpoint: 'manifests', action: 'pull', status: 200 }, 'audit info pull'],
  [
    { endpoint: 'manifests', action: 'pull', status: 404, reason: 'MANIFEST_UNKNOWN' },
    'audit info pull: MANIFEST_UNKNOWN',
  ],
  [{ endpoint: 'manifests', action: 'pull', status: 404, reason: '' }, 'audit info pull'],
  [{ endpoint: 'upload', action: 'push', status: 507, reason: 'no space' }, 'audit warn push: no space'],
  [{ method: 'PUT', endpoint: 'upload', action: 'push', status: 201, received: 7 }, 'audit info push'],
  [{ method: 'DELETE', endpoint: 'manifests', action: 'delete', status: 202 }, 'audit info delete'],
  [{ method: 'CONNECT', target: 'pypi.org:443', status: 200 }, 'audit info tunnel'],
  [{ endpoint: 'base', status: 200 }, 'debug ping'],
  [{ status: 401, error: 'TOKEN_REQUIRED' }, 'debug request failed: why'],
  [{ method: 'CONNECT', status: 407, error: 'PROXY_TOKEN_REQUIRED' }, 'debug request failed: why'],
  [{ method: 'CONNECT', status: 407, error: 'PROXY_CALLER_UNKNOWN' }, 'info request failed: why'],
  [{ status: 404, error: 'UPLOAD_UNKNOWN' }, 'info request failed: why'],
  [{ method: 'CONNECT', status: 403, error: 'HOST_FORBIDDEN' }, 'warn request failed: why'],
  [{ caller: 'ci', status: 403, error: 'ACCESS_DENIED' }, 'audit warn request failed: why'],
  [{ caller: 'ci', isAdmitted: true, status: 502, error: 'UPSTREAM_UNREACHABLE' }, 'audit warn request failed: why'],
  [{ caller: 'ci', isAdmitted: true, status: 200, error: 'CANCELLED' }, 'audit info request failed: why'],
])('%j is logged as %s', (given, expected) => {
  const lines: string[] = [];
  const log = createLogger(
    { level: 'debug', isPretty: false },
    {
      write: (text) => {
        const { audit, level, msg, reason } = JSON.parse(text);
        lines.push(`${audit ? 'audit ' : ''}${level} ${msg}${reason === undefined ? '' : `: ${reason}`}`);
      },
    },
  );
  const observe = observeProxy(log, createMetrics());
  const cause = given.error === undefined ? undefined : new Error('why');
  observe({ method: 'GET', status: 0, bytes: 0, durationMs: 1, ...given }, cause);
  expect(lines).toEqual([expected]);
});
