import { expect, test } from 'vitest';
import { upstreamRepository } from '../../proxy/upstream-repository.ts';
import { connectorFor } from '../credentials/fixtures.ts';

const at = (address: string, repository: string) => upstreamRepository(connectorFor(address, undefined), repository);

test('a repository is what the registry’s API calls it', () => {
  expect(at('https://registry.example.com', 'app')).toBe('app');
  expect(at('https://docker.io', 'nginx')).toBe('library/nginx');
  expect(at('https://docker.io/library', 'nginx')).toBe('library/nginx');
  expect(at('https://registry.example.com/team', 'team/app')).toBe('team/app');
});

test.each(['app', 'teamwork/app', 'other/team/app'])('%s is outside of a connector to team', (repository) => {
  expect(() => at('https://registry.example.com/team', repository)).toThrow(
    expect.objectContaining({ code: 'REPOSITORY_OUTSIDE' }),
  );
});
