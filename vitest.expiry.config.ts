import { defineConfig } from 'vitest/config';

/** `npm run expiry`: takes a quarter of an hour, because no API server gives out shorter tokens. */
export default defineConfig({ test: { include: ['test/cluster/token-expiry.ts'], testTimeout: 1_200_000 } });
