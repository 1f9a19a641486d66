/** Of realm oc1, where most regions are. */
export const firstRealmDomain = 'oraclecloud.com';

/**
 * The second-level domains of Oracle's realms, by realm key as OCIDs have it. Our own table, because hosts are judged
 * where the SDK is not loaded; a test compares it with the SDK's.
 */
export const realmDomains: Readonly<Record<string, string>> = Object.freeze({
  oc1: firstRealmDomain,
  oc2: 'oraclegovcloud.com',
  oc3: 'oraclegovcloud.com',
  oc4: 'oraclegovcloud.uk',
  oc8: 'oraclecloud8.com',
  oc9: 'oraclecloud9.com',
  oc10: 'oraclecloud10.com',
  oc14: 'oraclecloud14.com',
  oc15: 'oraclecloud15.com',
  oc19: 'oraclecloud.eu',
  oc20: 'oraclecloud20.com',
  oc21: 'oraclecloud21.com',
  oc23: 'oraclecloud23.com',
  oc24: 'oraclecloud24.com',
  oc26: 'oraclecloud26.com',
  oc29: 'oraclecloud29.com',
  oc35: 'oraclecloud35.com',
  oc42: 'oraclecloud42.com',
  oc51: 'oraclecloud51.com',
  oc52: 'oraclecloud52.com',
});

/** Of a realm key in any case; undefined for a realm that is not in the table. */
export const domainOfRealm = (key: string): string | undefined => {
  const known = key.toLowerCase();
  return Object.hasOwn(realmDomains, known) ? realmDomains[known] : undefined;
};
