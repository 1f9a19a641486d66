/** Where registries are. */
export const zones = ['public', 'private', 'loopback'] as const;
export type Zone = (typeof zones)[number];

/** Literal hosts by the zone of what they mean; `forbidden` is for nobody. */
export const literals: Readonly<Record<Exclude<Zone, 'public'> | 'forbidden', readonly string[]>> = {
  loopback: [
    ...[
      '127.0.0.1',
      '127.1',
      '127.0.1',
      '127.255.255.254',
      '2130706433',
      '0x7f.1',
      '0x7f000001',
      '0177.0.0.1',
      '017700000001',
    ],
    ...[
      '127.0.0.1.',
      '127%E3%80%820%E3%80%820%E3%80%821',
      '%EF%BC%91%EF%BC%92%EF%BC%97.0.0.1',
      '%31%32%37.0.0.1',
      '[::1]',
      '[0:0:0:0:0:0:0:1]',
      '[::ffff:127.0.0.1]',
    ],
    ...[
      '[::ffff:7f00:1]',
      '[::127.0.0.1]',
      '[64:ff9b::127.0.0.1]',
      '[2002:7f00:1::]',
      'user:pw@127.0.0.1',
      'registry.test@127.0.0.1',
    ],
  ],
  private: [
    ...[
      '10.0.0.1',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.0.1',
      '100.64.0.1',
      '100.127.255.255',
      '198.18.0.1',
      '167772161',
      '0xa.1',
    ],
    ...[
      '012.0.0.1',
      '[fc00::1]',
      '[fd12:3456::1]',
      '[::ffff:10.0.0.1]',
      '[::10.0.0.1]',
      '[64:ff9b::192.168.0.1]',
      '[2002:a00:1::]',
    ],
  ],
  forbidden: [
    ...[
      '169.254.169.254',
      '2852039166',
      '0xa9fea9fe',
      '0251.0376.0251.0376',
      '169.16689662',
      '169.254.170.2',
      '169%E3%80%82254%E3%80%82169%E3%80%82254',
    ],
    ...[
      '[::ffff:169.254.169.254]',
      '[::ffff:a9fe:a9fe]',
      '[64:ff9b::a9fe:a9fe]',
      '[2002:a9fe:a9fe::]',
      '[fe80::1]',
      '[fd00:ec2::254]',
    ],
    ...[
      '[fd20:ce::254]',
      '[fd00:42::42]',
      '100.100.100.200',
      '168.63.129.16',
      '192.0.0.192',
      '0.0.0.0',
      '0',
      '[::]',
      '224.0.0.1',
    ],
    ...[
      '255.255.255.255',
      '[ff02::1]',
      '[64:ff9b:1::7f00:1]',
      '[2001:0:7f00:1::]',
      'user@169.254.169.254',
      '169.254.169.254.',
    ],
  ],
};
/** The registries that must not send us to addresses of a zone. */
export const zonesOf = { private: ['public'], loopback: ['public', 'private'], forbidden: zones } as const;

/** What names resolve to, by who may not go there. */
export const names: readonly (readonly [addresses: readonly string[], from: readonly Zone[]])[] = [
  [['127.0.0.1'], zonesOf.loopback],
  [['::1'], zonesOf.loopback],
  [['::ffff:127.0.0.1'], zonesOf.loopback],
  [['10.0.0.1'], zonesOf.private],
  [['100.64.0.1'], zonesOf.private],
  [['fd12::1'], zonesOf.private],
  [['64:ff9b::10.0.0.1'], zonesOf.private],
  [['169.254.169.254'], zones],
  [['fe80::1'], zones],
  [['fd00:ec2::254'], zones],
  [['0.0.0.0'], zones],
  [['203.0.113.2', '127.0.0.1'], zonesOf.loopback],
  [['203.0.113.2', '10.0.0.1'], zonesOf.private],
  [['203.0.113.2', '203.0.113.3', '169.254.169.254'], zones],
  [['2001:db8::1', '::1'], zonesOf.loopback],
  [['127.0.0.1', '169.254.169.254'], zones],
];
