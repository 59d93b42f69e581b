'use strict';

const followColours = () => document.documentElement.classList.toggle('dark-mode', ashlar.prefersDark.matches);
followColours();
ashlar.prefersDark.addEventListener('change', followColours);

ashlar
  .document()
  .then((spec) => {
    SwaggerUIBundle({
      spec,
      dom_id: '#api',
      deepLinking: true,
      displayRequestDuration: true,
      defaultModelsExpandDepth: 0,
      validatorUrl: null,
      presets: [SwaggerUIBundle.presets.apis],
    });
  })
  .catch(ashlar.fail);
