import { expect, test } from 'vitest';
import { observeCentre } from '../../cli/observe.ts';
import { buildCatalogue } from '../../connectors/catalogue.ts';
import { createMetrics } from '../../platform/metrics.ts';
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
