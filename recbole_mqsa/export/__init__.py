"""A trained model as a file that other programs run: ONNX, torch.export, safetensors."""
