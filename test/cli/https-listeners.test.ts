import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { ServingCertificate } from '../../certs/serving-certificate.ts';
import { startHttps } from '../../cli/https-listeners.ts';
import { startManagement } from '../../cli/management-listener.ts';
import { createMetrics } from '../../platform/metrics.ts';
import { makeServing } from '../proxy/support/centre.ts';
import { call } from '../support/call.ts';

/** A certificate that a test replaces. */
async function openCertificate() {
  let serving = await makeServing();
  const listeners = new Set<() => void>();
  const certificate: ServingCertificate = {
    get current() {
      return serving;
    },
    get caBundle() {
      return serving.ca;
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    check: async () => {},
    close: async () => {},
  };
  const replace = async () => {
    serving = await makeServing();
    for (const listener of listeners) listener();
  };
  return { certificate, replace, ca: () => serving.ca, listeners };
}

const anywhere = { host: '127.0.0.1', port: 0 };

async function open() {
  const parts = new AsyncDisposableStack();
  onTestFinished(() => parts.disposeAsync());
  const own = await openCertificate();
  const listening = await startHttps((_request, response) => response.end('here'), own.certificate, anywhere, parts);
  return { ...own, parts, listening, url: `https://127.0.0.1:${listening.address.port}/` };
}

test('an HTTPS server goes on with a certificate that is replaced', async () => {
  const { url, ca, replace, parts, listeners } = await open();
  expect(await call(url, { ca: ca() })).toMatchObject({ status: 200, body: Buffer.from('here') });
  const old = ca();
  await replace();
  expect(await call(url, { ca: ca() })).toMatchObject({ status: 200 });
  expect((await call(url, { ca: old })).status).toBeUndefined();
  await parts.disposeAsync();
  expect(listeners.size).toBe(0);
});

test('it ends although somebody has connected and says nothing', async () => {
  const { listening } = await open();
  const silent = connect(listening.address.port, '127.0.0.1');
  await once(silent, 'connect');
  silent.on('error', () => {});
  await listening.drain(0);
  expect((await call(`https://127.0.0.1:${listening.address.port}/`)).failure).toBe('ECONNREFUSED');
});

test('probes and metrics are listened for where they should be, and the listener closes with its parts', async () => {
  const parts = new AsyncDisposableStack();
  const { address } = await startManagement({ metrics: createMetrics(), notReady: () => [] }, anywhere, parts);
  const url = `http://127.0.0.1:${address.port}/readyz`;
  expect(await call(url)).toMatchObject({ status: 200 });
  await parts.disposeAsync();
  expect((await call(url)).failure).toBe('ECONNREFUSED');
});
