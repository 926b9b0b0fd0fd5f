//! Files in memory, and what was said about them.

use std::collections::BTreeMap;

use scenario_format::files::{RawFile, ReadError};
use scenario_format::{Files, Loaded, Request, load};

/// Files by path; a path that ends a directory of others gives all of them.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    files: BTreeMap<String, Vec<u8>>,
}

impl Memory {
    pub(crate) fn with(mut self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.to_owned(), bytes.as_ref().to_vec());
        self
    }

    pub(crate) fn bytes(&self, path: &str) -> Vec<u8> {
        self.files[path].clone()
    }
}

impl Files for Memory {
    fn read(&self, path: &str) -> Result<Vec<RawFile>, ReadError> {
        if let Some(bytes) = self.files.get(path) {
            return Ok(vec![RawFile { name: path.to_owned(), bytes: bytes.clone() }]);
        }
        let directory = format!("{path}/");
        let below: Vec<RawFile> = self
            .files
            .iter()
            .filter(|(name, _)| name.starts_with(&directory))
            .map(|(name, bytes)| RawFile { name: name.clone(), bytes: bytes.clone() })
            .collect();
        if below.is_empty() { Err(ReadError::Missing) } else { Ok(below) }
    }

    fn is_file(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }
}

/// A small platform: two zones, one node each.
pub(crate) const PLATFORM: &str = "\
apiVersion: eidp-sim/v1
kind: Platform
metadata: {name: small}
spec:
  region: {name: north, jurisdiction: EU}
  zones: [{name: az-a}, {name: az-b}]
  controlPlane: {zones: [az-a, az-b, az-b]}
  nodePools:
    - {name: worker, zones: [az-a, az-b], countPerZone: 1, cpu: 4, memory: 8Gi}
";

/// A scenario on it, with room for more keys of `spec`.
pub(crate) fn scenario(more: &str) -> String {
    format!(
        "apiVersion: eidp-sim/v1\nkind: Scenario\nmetadata: {{name: s}}\nspec:\n  \
         platform: small.yaml\n  horizon: 1h\n{more}"
    )
}

/// A Deployment `web` of two replicas with its Service, in namespace `shop`.
pub(crate) const WEB: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      topologySpreadConstraints:
        - {maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: web}}}
      containers:
        - name: web
          image: web:1
          ports: [{name: http, containerPort: 8080}]
          readinessProbe: {httpGet: {path: /, port: http}}
          resources: {requests: {cpu: 100m, memory: 64Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
";

/// Loads `s.yaml` with manifests.
pub(crate) fn load_all(files: &Memory, manifests: &[&str], overrides: &[&str]) -> Loaded {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let request = Request {
        scenario: "s.yaml".to_owned(),
        manifests: owned(manifests),
        overrides: owned(overrides),
    };
    load(&request, files)
}

/// A scenario, the small platform, and the web Deployment with `-f`.
pub(crate) fn web(more: &str) -> Memory {
    Memory::default()
        .with("s.yaml", scenario(more))
        .with("small.yaml", PLATFORM)
        .with("web.yaml", WEB)
}

/// `file:line:column: code: message` of everything that was said.
pub(crate) fn said(loaded: &Loaded) -> Vec<String> {
    loaded.diagnostics.iter().map(|it| it.one_line(&loaded.sources)).collect()
}
