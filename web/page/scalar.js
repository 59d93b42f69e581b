'use strict';

ashlar
  .document()
  .then((spec) => {
    Scalar.createApiReference('#api', {
      content: spec,
      // Nothing leaves this service: no fonts, proxy, or assistant of another host.
      withDefaultFonts: false,
      proxyUrl: '',
      telemetry: false,
      agent: {disabled: true},
      mcp: {disabled: true},
      hideClientButton: true,
      showDeveloperTools: 'never',
      hideDarkModeToggle: false,
      customCss: ':root { --scalar-custom-header-height: 44px; }',
    });
  })
  .catch(ashlar.fail);
