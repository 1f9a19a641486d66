import { expect, onTestFinished, test } from 'vitest';
import { RegistryTransports } from '../../credentials/registry-transports.ts';
import { makeSelfSigned } from '../support/certificate.ts';
import { startRegistry } from '../support/registry.ts';
import { connectorFor } from './fixtures.ts';

const trusting = (value: string) => ({ params: [{ name: 'trustedHosts', value }] });

test('connectors share a transport as far as they reach a registry in the same way', async () => {
  const transports = new RegistryTransports();
  onTestFinished(() => transports.close());
  const of = (address: string, spec = {}) => transports.for(connectorFor(address, undefined, spec));
  const one = of('https://r.example.com');
  expect(of('https://r.example.com/team')).toBe(one);
  expect(of('http://r.example.com')).not.toBe(one);
  expect(of('https://r.example.com:8443')).not.toBe(one);
  const trusted = of('https://r.example.com', trusting('a'));
  expect(trusted).not.toBe(one);
  expect(of('https://r.example.com', trusting(' A '))).toBe(trusted);
  expect(of('https://r.example.com', trusting('b'))).not.toBe(trusted);
});

test('a CA is trusted for its connectors only', async () => {
  const { key, cert } = makeSelfSigned();
  await using registry = await startRegistry({ tls: { key, cert } });
  const transports = new RegistryTransports();
  onTestFinished(() => transports.close());
  const connector = connectorFor(registry.origin, undefined);
  const request = { origin: registry.origin, path: '/v2/', method: 'GET' } as const;
  await expect(transports.for(connector).dispatcher.request(request)).rejects.toThrow(/self-signed/);
  const { statusCode, body } = await transports.for({ ...connector, ca: cert }).dispatcher.request(request);
  await body.dump();
  expect(statusCode).toBe(200);
  await expect(
    transports.for({ ...connector, ca: makeSelfSigned().cert }).dispatcher.request(request),
  ).rejects.toThrow();
});

test('closing ends what is under way', async () => {
  const transports = new RegistryTransports();
  await using registry = await startRegistry();
  const { dispatcher } = transports.for(connectorFor(registry.origin, undefined));
  await dispatcher.request({ origin: registry.origin, path: '/v2/', method: 'GET' });
  await transports.close();
  await expect(dispatcher.request({ origin: registry.origin, path: '/v2/', method: 'GET' })).rejects.toThrow(
    /destroyed/,
  );
});
